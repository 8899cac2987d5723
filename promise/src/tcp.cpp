// SPDX-License-Identifier: MIT
// TCP on non-blocking sockets of our own.

#include "descriptor_stream.hpp"
#include "socket_address.hpp"

#include <fermata/promise/detach.hpp>
#include <fermata/promise/io.hpp>
#include <fermata/promise/tcp.hpp>

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <optional>

namespace fermata {
namespace {

using detail::descriptor;
using detail::descriptor_kind;
using detail::socket_address;
using detail::unique_fd;

using accepted = std::unique_ptr<byte_stream>;
using descriptor_ptr = std::shared_ptr<descriptor>;

void set_option(int fd, int level, int name) noexcept {
  const int on = 1;
  ::setsockopt(fd, level, name, &on, sizeof on);
}

unique_fd new_socket(int family) {
  return unique_fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

std::unique_ptr<byte_stream> connected(unique_fd fd, const socket_address& peer) {
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY);
  return detail::socket_stream(std::move(fd), peer.to_string());
}

// The next connection of the backlog; nothing where there is none.
accepted try_accept(descriptor& listener) {
  for (;;) {
    socket_address peer;
    peer.size = sizeof peer.storage;
    unique_fd fd(::accept4(listener.watch.fd(), reinterpret_cast<sockaddr*>(&peer.storage),
                           &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) return connected(std::move(fd), peer);
    const int code = errno;
    if (code == EAGAIN) return nullptr;
    // The other codes of accept(2) concern one connection that is gone already.
    const bool is_gone = code == EINTR || code == ECONNABORTED || code == EPROTO ||
                         code == ENETDOWN || code == ENOPROTOOPT || code == EHOSTDOWN ||
                         code == ENONET || code == EHOSTUNREACH || code == ENETUNREACH;
    if (!is_gone) {
      throw uv_error(code, fmt::format("cannot accept a connection on {}", listener.peer));
    }
  }
}

promise<accepted> accept_next(descriptor_ptr listener) {
  const detail::direction_guard guard(listener->reads, "two accepts are under way");
  for (;;) {
    co_await readable(listener->watch);
    if (listener->loop_has_ended) throw loop_closed();
    if (!listener->watch.is_open()) throw cancelled();
    accepted next = try_accept(*listener);
    if (next != nullptr) co_return next;
  }
}

// ---- connecting ----

// 0, or why the address does not answer.
promise<int> finish_connect(descriptor_ptr socket, std::chrono::nanoseconds timeout) {
  bool timed_out = false;
  const timer deadline(event_loop::current(), timeout, [&timed_out, &socket] {
    timed_out = true;
    socket->watch.close();
  });
  co_await writable(socket->watch);
  if (timed_out) co_return UV_ETIMEDOUT;
  if (!socket->watch.is_open()) throw loop_closed();
  int code = 0;
  socklen_t size = sizeof code;
  ::getsockopt(socket->watch.fd(), SOL_SOCKET, SO_ERROR, &code, &size);
  co_return -code;
}

struct attempt {
  std::unique_ptr<byte_stream> stream;
  int code = 0;
};

promise<attempt> try_connect(socket_address to, std::chrono::nanoseconds timeout) {
  attempt result;
  unique_fd fd = new_socket(to.family());
  if (!fd) {
    result.code = -errno;
    co_return result;
  }
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY);
  const bool at_once = ::connect(fd.get(), to.get(), to.size) == 0;
  if (!at_once && errno != EINPROGRESS) {
    result.code = -errno;
    co_return result;
  }
  auto socket =
      std::make_shared<descriptor>(std::move(fd), descriptor_kind::socket, to.to_string());
  if (!at_once) {
    promise<int> end = finish_connect(socket, timeout);
    result.code = co_await std::move(end);
  }
  if (result.code == 0) result.stream = detail::stream_over(std::move(socket));
  co_return result;
}

promise<detail::resolution> find_addresses(std::string host, std::uint16_t port) {
  if (detail::is_numeric(host)) co_return detail::resolve(host, port);
  promise<detail::resolution> found = detach(detail::resolve, std::move(host), port);
  co_return co_await std::move(found);
}

}  // namespace

// ---- the listener ----

tcp_listener::tcp_listener(std::string_view address, const listen_options& options) {
  const std::string text = fmt::format("cannot listen on {}", address);
  const std::optional<socket_address> at = socket_address::parse(address);
  if (!at) throw error(text + ": the form is ADDR:PORT, as 127.0.0.1:8080 or [::1]:8080");
  unique_fd fd = new_socket(at->family());
  if (!fd) throw errno_error(text);
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR);
  if (at->family() == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY);
  if (::bind(fd.get(), at->get(), at->size) < 0 || ::listen(fd.get(), options.backlog) < 0) {
    throw errno_error(text);
  }
  const socket_address real = socket_address::of_socket(fd.get());
  address_ = real.to_string();
  port_ = real.port();
  socket_ = std::make_shared<descriptor>(std::move(fd), descriptor_kind::socket, address_);
}

tcp_listener& tcp_listener::operator=(tcp_listener&& other) noexcept {
  if (this != &other) close();
  socket_ = std::move(other.socket_);
  address_ = std::move(other.address_);
  port_ = other.port_;
  return *this;
}

promise<std::unique_ptr<byte_stream>> tcp_listener::accept() {
  if (socket_ == nullptr || !socket_->watch.is_open()) {
    return rejected<accepted>(
        uv_error(UV_EBADF, fmt::format("cannot accept a connection on {}", address_)));
  }
  if (socket_->reads) return rejected<accepted>(contract_error("two accepts are under way"));
  try {
    accepted next = try_accept(*socket_);
    static_cast<void>(due(std::chrono::microseconds(5)));
    if (next != nullptr) return ready(std::move(next));
    return accept_next(socket_);
  } catch (...) {
    return rejected<accepted>(std::current_exception());
  }
}

void tcp_listener::close() noexcept {
  if (socket_ != nullptr) socket_->watch.close();
}

// ---- connections ----

promise<std::unique_ptr<byte_stream>> tcp_connect(std::string host,
                                                  std::uint16_t port,
                                                  connect_options options) {
  const std::string name = detail::host_and_port(host, port);
  std::string text = "cannot connect to " + name;
  promise<detail::resolution> found = find_addresses(std::move(host), port);
  const detail::resolution resolved = co_await std::move(found);
  int code = resolved.code;
  for (std::size_t i = 0; i < resolved.addresses.size(); ++i) {
    const socket_address& to = resolved.addresses[i];
    promise<attempt> trying = try_connect(to, options.timeout);
    attempt tried = co_await std::move(trying);
    if (tried.stream != nullptr) co_return std::move(tried.stream);
    if (i > 0) text += fmt::format(": {}", uv_strerror(code));
    const std::string address = to.to_string();
    if (address != name) text += fmt::format("{} {}", i > 0 ? ';' : ':', address);
    code = tried.code;
  }
  throw uv_error(code, text);
}

}  // namespace fermata
