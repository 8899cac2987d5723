// SPDX-License-Identifier: MIT
/// What systemd asks of a service: readiness, a watchdog, sockets that it has opened.
///
/// Shape:  sd_notify(3) and sd_listen_fds(3), which are a datagram and three variables. Without
///         systemd all does nothing.
/// Pauses: never: a datagram that cannot be sent at once is dropped.
/// Thread: loop.
#pragma once

#include <fermata/promise/unique_fd.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::mirror {

class service_manager {
public:
  /// Reads the environment, and takes its variables out of it: children must not see them.
  service_manager();

  /// `READY=1`, `STATUS=...`, `STOPPING=1`, `WATCHDOG=1`; lines may be joined.
  void tell(std::string_view state) noexcept;
  /// How often the watchdog wants to hear; nothing where there is none.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> watchdog() const noexcept {
    return watchdog_;
  }
  /// The sockets that were handed over, once.
  [[nodiscard]] std::vector<unique_fd> take_sockets() { return std::move(sockets_); }

private:
  unique_fd to_;
  std::string address_;
  std::optional<std::chrono::nanoseconds> watchdog_;
  std::vector<unique_fd> sockets_;
};

}  // namespace fermata::mirror
