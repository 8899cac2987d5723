// SPDX-License-Identifier: MIT
// Listening at and connecting to a name of this machine.
//
// A connect to a full backlog gives EAGAIN and never becomes ready: it is tried again, later and
// later.

#include "watched_socket.hpp"

#include <fermata/promise/sleep.hpp>
#include <fermata/promise/socket_address.hpp>
#include <fermata/promise/unix_socket.hpp>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace fermata {
namespace {

using detail::socket_ptr;
using detail::uninterrupted;
using detail::watched_socket;
using connection = std::unique_ptr<unix_stream>;

unique_fd new_socket(const std::string& text) {
  unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) throw errno_error(text);
  return fd;
}

// 0, or errno.
int connect_now(int fd, const socket_address& to) {
  return uninterrupted([&] { return ::connect(fd, to.get(), to.size); }) == 0 ? 0 : errno;
}

// A connect to a file that is no socket is refused too: that file is not ours to remove.
bool is_stale(const socket_address& at, const std::string& text) {
  struct stat s {};
  if (::lstat(at.to_string().c_str(), &s) < 0 || !S_ISSOCK(s.st_mode)) return false;
  const unique_fd fd = new_socket(text);
  return connect_now(fd.get(), at) == ECONNREFUSED;
}

void bind_to(int fd, const socket_address& at, bool replaces_stale, const std::string& text) {
  if (::bind(fd, at.get(), at.size) == 0) return;
  const int code = errno;
  const std::string path = at.to_string();
  if (code != EADDRINUSE || !replaces_stale || path.starts_with('@') || !is_stale(at, text)) {
    throw uv_error(code, text);
  }
  ::unlink(path.c_str());
  if (::bind(fd, at.get(), at.size) < 0) throw errno_error(text);
}

// Nothing where none is there.
connection try_accept(watched_socket& listener) {
  unique_fd fd(uninterrupted(
      [&] { return ::accept4(listener.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); }));
  if (!fd && (errno == EAGAIN || errno == ECONNABORTED)) return nullptr;
  if (!fd) throw listener.failure("accept a connection on");
  static_cast<void>(due(std::chrono::microseconds(4)));
  return std::make_unique<unix_stream>(std::move(fd), "a client of " + listener.name);
}

promise<connection> accept_next(socket_ptr listener) {
  const detail::direction_guard guard(listener->reads, "two accepts are under way");
  for (;;) {
    co_await readable(listener->watch);
    listener->check_open();
    connection next = try_accept(*listener);
    if (next != nullptr) co_return next;
  }
}

}  // namespace

unix_listener::unix_listener(std::string_view path, const unix_listen_options& options) {
  const std::string text = fmt::format("cannot listen on {}", path);
  const socket_address at = socket_address::local(path);
  unique_fd fd = new_socket(text);
  bind_to(fd.get(), at, options.replaces_stale, text);
  struct stat s {};
  if (!path.starts_with('@') && ::stat(std::string(path).c_str(), &s) == 0) {
    file_ = {std::string(path), s.st_dev, s.st_ino};
  }
  if (::listen(fd.get(), options.backlog) < 0) {
    const int code = errno;
    close();
    throw uv_error(code, text);
  }
  socket_ = std::make_shared<watched_socket>(std::move(fd), std::string(path));
}

promise<std::unique_ptr<unix_stream>> unix_listener::accept() {
  if (socket_ == nullptr || !socket_->watch.is_open()) {
    return rejected<connection>(uv_error(EBADF, "cannot accept a connection on a closed listener"));
  }
  if (socket_->reads) return rejected<connection>(contract_error("two accepts are under way"));
  try {
    connection next = try_accept(*socket_);
    if (next != nullptr) return ready(std::move(next));
    return accept_next(socket_);
  } catch (...) {
    return rejected<connection>(std::current_exception());
  }
}

void unix_listener::close() noexcept {
  if (socket_ != nullptr) socket_->watch.close();
  if (file_.path.empty()) return;
  struct stat s {};
  const bool is_ours =
      ::lstat(file_.path.c_str(), &s) == 0 && s.st_dev == file_.device && s.st_ino == file_.inode;
  if (is_ours) ::unlink(file_.path.c_str());
  file_.path.clear();
}

promise<std::unique_ptr<unix_stream>> unix_connect(std::string path,
                                                   std::chrono::nanoseconds timeout) {
  using namespace std::chrono_literals;
  const std::string text = "cannot connect to " + path;
  const socket_address to = socket_address::local(path);
  unique_fd fd = new_socket(text);
  const time_point last = event_loop::current().after(timeout);
  std::chrono::nanoseconds wait = 1ms;
  for (;;) {
    const int code = connect_now(fd.get(), to);
    if (code == 0) break;
    if (code != EAGAIN) throw uv_error(code, text);
    const time_point now = event_loop::current().now();
    if (now >= last) throw uv_error(ETIMEDOUT, text);
    promise<> later = sleep_until(std::min(last, now + wait));
    co_await std::move(later);
    wait = std::min<std::chrono::nanoseconds>(2 * wait, 50ms);
  }
  static_cast<void>(due(std::chrono::microseconds(10)));
  co_return std::make_unique<unix_stream>(std::move(fd), std::move(path));
}

}  // namespace fermata
