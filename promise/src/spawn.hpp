// SPDX-License-Identifier: MIT
// Starting a child: what runs on a worker.
#pragma once

#include "descriptor_stream.hpp"

#include <fermata/promise/process.hpp>

namespace fermata::detail {

// A child that has started and nobody waits for yet; destroyed, it is killed and reaped.
struct started_child {
  started_child() noexcept = default;
  started_child(started_child&& other) noexcept
      : pid(std::exchange(other.pid, -1)),
        pidfd(std::move(other.pidfd)),
        in(std::move(other.in)),
        out(std::move(other.out)),
        err(std::move(other.err)) {}
  started_child& operator=(started_child&&) = delete;
  ~started_child();

  pid_t pid = -1;
  unique_fd pidfd;
  unique_fd in;  // our ends
  unique_fd out;
  unique_fd err;
};

// Thread: any; blocks for the fork and the exec. Throws: `error`.
[[nodiscard]] started_child start_child(const command& c);

// Reaps a child. Blocks unless `WNOHANG` is in `flags`; false: it runs still.
[[nodiscard]] bool reap(pid_t pid, int flags, exit_status& status) noexcept;

}  // namespace fermata::detail
