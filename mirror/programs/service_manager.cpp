// SPDX-License-Identifier: MIT
#include "service_manager.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr int first_socket = 3;  // SD_LISTEN_FDS_START
constexpr int most_sockets = 64;

std::string take_variable(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  ::unsetenv(name);
  return text;
}

std::optional<long long> number(const std::string& text) {
  long long n = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (code != std::errc() || end != text.data() + text.size() || n < 0) return std::nullopt;
  return n;
}

// A variable that names a process is for that one alone.
bool is_for_us(const std::string& pid) { return pid.empty() || number(pid) == ::getpid(); }

}  // namespace

service_manager::service_manager() : address_(take_variable("NOTIFY_SOCKET")) {
  const std::string watchdog_pid = take_variable("WATCHDOG_PID");
  const auto watchdog_us = number(take_variable("WATCHDOG_USEC"));
  if (watchdog_us.value_or(0) > 0 && is_for_us(watchdog_pid)) {
    watchdog_ = std::chrono::microseconds(*watchdog_us);
  }
  const std::string listen_pid = take_variable("LISTEN_PID");
  const auto count = number(take_variable("LISTEN_FDS"));
  take_variable("LISTEN_FDNAMES");
  if (count && !listen_pid.empty() && is_for_us(listen_pid)) {
    for (int i = 0; i < std::min<long long>(*count, most_sockets); ++i) {
      ::fcntl(first_socket + i, F_SETFD, FD_CLOEXEC);
      sockets_.emplace_back(first_socket + i);
    }
  }
  const bool is_usable = !address_.empty() && address_.size() < sizeof(sockaddr_un::sun_path) &&
                         (address_.front() == '/' || address_.front() == '@');
  if (!is_usable) return;
  to_ = unique_fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

void service_manager::tell(std::string_view state) noexcept {
  if (!to_) return;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0';  // the abstract namespace
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  static_cast<void>(::sendto(to_.get(), state.data(), state.size(), MSG_NOSIGNAL,
                             reinterpret_cast<const sockaddr*>(&to), size));
}

}  // namespace fermata::mirror
