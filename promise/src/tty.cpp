// SPDX-License-Identifier: MIT
// Terminals: a stream over a descriptor of our own, and a second one to ask and to restore by.

#include <fermata/promise/pipe.hpp>
#include <fermata/promise/signals.hpp>
#include <fermata/promise/tty.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <csignal>
#include <optional>

namespace fermata {

struct raw_mode::saved {
  termios mode{};
};

raw_mode::raw_mode(unique_fd fd) : fd_(std::move(fd)), saved_(std::make_unique<saved>()) {
  if (::tcgetattr(fd_.get(), &saved_->mode) < 0) throw errno_error("cannot ask a terminal's mode");
  termios raw = saved_->mode;
  ::cfmakeraw(&raw);
  if (::tcsetattr(fd_.get(), TCSANOW, &raw) < 0) throw errno_error("cannot make a terminal raw");
}

raw_mode::raw_mode(raw_mode&&) noexcept = default;

raw_mode::~raw_mode() {
  if (fd_) ::tcsetattr(fd_.get(), TCSANOW, &saved_->mode);
}

namespace {

window_size size_of(int fd) {
  winsize s{};
  if (::ioctl(fd, TIOCGWINSZ, &s) < 0) throw errno_error("cannot ask a terminal's size");
  return {s.ws_col, s.ws_row};
}

unique_fd copy_of(int fd) {
  unique_fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) throw errno_error("cannot copy a terminal's descriptor");
  return copy;
}

}  // namespace

// What a wait for another size shares with its terminal.
struct terminal::resizing {
  resizing(unique_fd f, window_size s) : fd(std::move(f)), last(s) {}

  static promise<window_size> next(std::shared_ptr<resizing> r) {
    const detail::direction_guard guard(r->waits, "two changes of a terminal's size are awaited");
    if (!r->signals) r->signals.emplace(std::vector<int>{SIGWINCH});
    for (;;) {
      if (r->is_closed) throw cancelled();
      const window_size now = size_of(r->fd.get());
      if (now != r->last) {
        r->last = now;
        co_return now;
      }
      r->coming = r->signals->next();
      const promise<int> coming = r->coming;
      co_await coming;
    }
  }
  void close() noexcept {
    is_closed = true;
    if (coming) cancel(coming);
  }

  unique_fd fd;
  window_size last;
  std::optional<signal_source> signals;
  promise<int> coming;
  bool waits = false;
  bool is_closed = false;
};

terminal::terminal(int descriptor) {
  const std::string text = fmt::format("cannot use descriptor {} as a terminal", descriptor);
  std::array<char, PATH_MAX> name{};
  const int code = ::ttyname_r(descriptor, name.data(), name.size());
  if (code != 0) throw uv_error(code, text);
  unique_fd fd(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) throw errno_error(text);
  control_ = copy_of(fd.get());
  resizing_ = std::make_shared<resizing>(copy_of(fd.get()), size_of(fd.get()));
  stream_ = pipe_stream(fd.release(), name.data());
}

terminal::terminal(terminal&&) noexcept = default;

terminal& terminal::operator=(terminal&& other) noexcept {
  std::swap(control_, other.control_);
  std::swap(stream_, other.stream_);
  std::swap(resizing_, other.resizing_);
  return *this;
}

terminal::~terminal() {
  if (resizing_ != nullptr) resizing_->close();
}

window_size terminal::size() const { return size_of(control_.get()); }
promise<window_size> terminal::size_changed() {
  if (resizing_ == nullptr) throw contract_error("a terminal that was moved from is used");
  return resizing::next(resizing_);
}
raw_mode terminal::make_raw() const { return raw_mode(copy_of(control_.get())); }

}  // namespace fermata
