// SPDX-License-Identifier: MIT
// Datagrams: tried first, waited for on EAGAIN.

#include "watched_socket.hpp"

#include <fermata/promise/udp.hpp>

#include <fmt/format.h>
#include <netinet/in.h>

#include <optional>

namespace fermata {
namespace {

using detail::socket_ptr;
using detail::uninterrupted;
using detail::watched_socket;

socket_address parsed(std::string_view text) {
  const std::optional<socket_address> at = socket_address::parse(text);
  if (at) return *at;
  throw error(fmt::format(
      "cannot bind to {}: the form is ADDR:PORT, as 127.0.0.1:8080 or [::1]:8080", text));
}

void set_option(int fd, int name, int value, const std::string& text) {
  if (::setsockopt(fd, SOL_SOCKET, name, &value, sizeof value) < 0) throw errno_error(text);
}

unique_fd bound_socket(const socket_address& at, const udp_options& o) {
  const std::string text = fmt::format("cannot bind to {}", at.to_string());
  unique_fd fd(::socket(at.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) throw errno_error(text);
  if (o.reuse_address) set_option(fd.get(), SO_REUSEADDR, 1, text);
  if (o.reuse_port) set_option(fd.get(), SO_REUSEPORT, 1, text);
  if (o.may_broadcast) set_option(fd.get(), SO_BROADCAST, 1, text);
  if (o.receive_buffer_bytes > 0) set_option(fd.get(), SO_RCVBUF, o.receive_buffer_bytes, text);
  if (at.family() == AF_INET6) {
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  if (::bind(fd.get(), at.get(), at.size) < 0) throw errno_error(text);
  return fd;
}

// Nothing where none is there.
std::optional<datagram> try_receive(watched_socket& s, std::span<std::byte> into) {
  datagram d;
  iovec place{into.data(), into.size()};
  msghdr message{};
  message.msg_iov = &place;
  message.msg_iovlen = 1;
  message.msg_name = &d.from.storage;
  message.msg_namelen = sizeof d.from.storage;
  const ssize_t n = uninterrupted([&] { return ::recvmsg(s.fd(), &message, MSG_TRUNC); });
  if (n < 0 && errno == EAGAIN) return std::nullopt;
  if (n < 0) throw s.failure("receive at");
  d.from.size = message.msg_namelen;
  d.sent_bytes = static_cast<std::size_t>(n);
  d.bytes = std::min(d.sent_bytes, into.size());
  static_cast<void>(due(detail::stream_cost(d.bytes)));
  return d;
}

promise<datagram> receive_next(socket_ptr s, std::span<std::byte> into) {
  const detail::direction_guard guard(s->reads, "two receives are under way on one socket");
  for (;;) {
    co_await readable(s->watch);
    s->check_open();
    const std::optional<datagram> d = try_receive(*s, into);
    if (d) co_return *d;
  }
}

// False where the system's buffers are full.
bool try_send(watched_socket& s, byte_view bytes, const socket_address* to) {
  const sockaddr* const address = to == nullptr ? nullptr : to->get();
  const socklen_t size = to == nullptr ? 0 : to->size;
  const ssize_t n = uninterrupted(
      [&] { return ::sendto(s.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL, address, size); });
  if (n < 0 && errno == EAGAIN) return false;
  if (n < 0) {
    const int code = errno;
    throw uv_error(code, fmt::format("cannot send {} bytes to {}", bytes.size(),
                                     to == nullptr ? s.name : to->to_string()));
  }
  static_cast<void>(due(detail::stream_cost(bytes.size())));
  return true;
}

promise<> send_when_possible(socket_ptr s, byte_view bytes, socket_address to, bool has_address) {
  const detail::direction_guard guard(s->writes, "two sends are under way on one socket");
  bool sent = false;
  while (!sent) {
    co_await writable(s->watch);
    s->check_open();
    sent = try_send(*s, bytes, has_address ? &to : nullptr);
  }
}

promise<> send_datagram(const socket_ptr& s, byte_view bytes, const socket_address* to) {
  if (s == nullptr || !s->watch.is_open()) {
    return rejected(uv_error(EBADF, "cannot send at a closed socket"));
  }
  if (s->writes) {
    return rejected(contract_error("two sends are under way on one socket"));
  }
  try {
    if (try_send(*s, bytes, to)) return ready();
    return send_when_possible(s, bytes, to == nullptr ? socket_address() : *to, to != nullptr);
  } catch (...) {
    return rejected(std::current_exception());
  }
}

}  // namespace

udp_socket::udp_socket(std::string_view address, const udp_options& options)
    : udp_socket(parsed(address), options) {}

udp_socket::udp_socket(const socket_address& address, const udp_options& options) {
  unique_fd fd = bound_socket(address, options);
  address_ = socket_address::of_socket(fd.get());
  socket_ = std::make_shared<watched_socket>(std::move(fd), address_.to_string());
}

void udp_socket::connect(const socket_address& peer) {
  const std::string text = fmt::format("cannot connect to {}", peer.to_string());
  if (socket_ == nullptr || !socket_->watch.is_open()) throw uv_error(EBADF, text);
  if (::connect(socket_->fd(), peer.get(), peer.size) < 0) throw errno_error(text);
  address_ = socket_address::of_socket(socket_->fd());
  socket_->name = peer.to_string();
}

promise<> udp_socket::send_to(byte_view bytes, socket_address to) {
  return send_datagram(socket_, bytes, &to);
}
promise<> udp_socket::send(byte_view bytes) { return send_datagram(socket_, bytes, nullptr); }

promise<datagram> udp_socket::receive(std::span<std::byte> into) {
  if (into.empty()) return rejected<datagram>(contract_error("a receive into no bytes"));
  if (socket_ == nullptr || !socket_->watch.is_open()) {
    return rejected<datagram>(uv_error(EBADF, "cannot receive at a closed socket"));
  }
  if (socket_->reads) {
    return rejected<datagram>(contract_error("two receives are under way on one socket"));
  }
  try {
    std::optional<datagram> d = try_receive(*socket_, into);
    if (d) return ready(*d);
    return receive_next(socket_, into);
  } catch (...) {
    return rejected<datagram>(std::current_exception());
  }
}

void udp_socket::close() noexcept {
  if (socket_ != nullptr) socket_->watch.close();
}

}  // namespace fermata
