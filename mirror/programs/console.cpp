// SPDX-License-Identifier: MIT
// The descriptors are shared with whoever started us, so they stay blocking: a pipe that polls as
// writable takes `piece_bytes` without blocking (pipe(7), PIPE_BUF).

#include "console.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace fermata::mirror {
namespace {

constexpr std::size_t piece_bytes = 4096;
constexpr std::size_t usual_width = 80;

bool is_writable(int fd) noexcept {
  pollfd p{fd, POLLOUT, 0};
  return ::poll(&p, 1, 0) == 1;
}

}  // namespace

void console::write(std::string_view text) {
  const std::size_t room = most_waiting_bytes - std::min(most_waiting_bytes, waiting_.size());
  if (text.size() <= room) waiting_ += text;
  flush();
}

void console::flush() noexcept {
  while (!waiting_.empty() && is_writable(fd_)) {
    const ssize_t n = ::write(fd_, waiting_.data(), std::min(waiting_.size(), piece_bytes));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {  // nobody is there any more
      waiting_.clear();
    } else {
      waiting_.erase(0, static_cast<std::size_t>(n));
    }
  }
}

std::size_t console::terminal_width() const noexcept {
  if (::isatty(fd_) == 0) return 0;
  winsize size{};
  if (::ioctl(fd_, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return usual_width;
  return size.ws_col;
}

}  // namespace fermata::mirror
