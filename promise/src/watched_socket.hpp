// SPDX-License-Identifier: MIT
// A socket that datagrams and descriptors go through, and what waits for it share it.
#pragma once

#include <fermata/loop/io_watch.hpp>
#include <fermata/promise/io.hpp>
#include <fermata/promise/stream.hpp>
#include <fermata/promise/unique_fd.hpp>

#include <cerrno>
#include <memory>
#include <string>

namespace fermata::detail {

struct watched_socket {
  watched_socket(unique_fd fd, std::string n)
      : watch(event_loop::current(), fd.release()), name(std::move(n)) {}

  [[nodiscard]] int fd() const noexcept { return watch.fd(); }
  // Throws where it was closed, by its owner or by its loop.
  void check_open() const {
    if (watch.is_open()) return;
    if (event_loop::current().is_ending()) throw loop_closed();
    throw cancelled();
  }
  // `cannot <what> <name>`, with errno.
  [[nodiscard]] error failure(const std::string& what) const {
    const int code = errno;
    return uv_error(code, "cannot " + what + " " + name);
  }
  [[nodiscard]] error closed(const std::string& what) const {
    return uv_error(EBADF, "cannot " + what + " " + name);
  }

  io_watch watch;
  std::string name;
  bool reads = false;
  bool writes = false;
  bool write_side_ended = false;
  stream_counts counts;
};
using socket_ptr = std::shared_ptr<watched_socket>;

// A system call that is tried again where a signal has interrupted it.
template <typename Call>
[[nodiscard]] auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace fermata::detail
