// SPDX-License-Identifier: MIT
// A stream that passes descriptors: they are owned from the moment in which the system gives them.

#include "watched_socket.hpp"

#include <fermata/promise/pause.hpp>
#include <fermata/promise/unix_socket.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace fermata {
namespace {

using detail::socket_ptr;
using detail::stream_cost;
using detail::stream_piece_bytes;
using detail::uninterrupted;
using detail::watched_socket;

// Room for the control message of the most descriptors that are passed at once.
struct control_space {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * unix_stream::most_descriptors)> bytes;
};

// ---- receiving ----

void take_descriptors(msghdr& message, std::size_t most, passed_bytes& into) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < n; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(c) + i * sizeof(int), sizeof number);
      unique_fd fd(number);
      if (into.descriptors.size() < most) {
        into.descriptors.push_back(std::move(fd));  // has room: nothing throws here
      } else {
        into.has_lost_descriptors = true;
      }
    }
  }
}

// Nothing where none is there.
std::optional<passed_bytes> try_receive(watched_socket& s,
                                        std::span<std::byte> into,
                                        std::size_t most) {
  passed_bytes result;
  result.descriptors.reserve(most);
  control_space control;
  iovec place{into.data(), std::min(into.size(), stream_piece_bytes)};
  msghdr message{};
  message.msg_iov = &place;
  message.msg_iovlen = 1;
  if (most > 0) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_LEN(sizeof(int) * most);  // not a padding's more
  }
  const ssize_t n = uninterrupted([&] { return ::recvmsg(s.fd(), &message, MSG_CMSG_CLOEXEC); });
  if (n < 0 && errno == EAGAIN) return std::nullopt;
  if (n < 0) throw s.failure("read from");
  result.bytes = static_cast<std::size_t>(n);
  result.has_lost_descriptors = (message.msg_flags & MSG_CTRUNC) != 0;
  if (most > 0) take_descriptors(message, most, result);
  s.counts.read_bytes += result.bytes;
  static_cast<void>(due(stream_cost(result.bytes)));
  return result;
}

promise<passed_bytes> receive_when_there(socket_ptr s,
                                         std::span<std::byte> into,
                                         std::size_t most) {
  const detail::direction_guard guard(s->reads, detail::two_reads);
  for (;;) {
    co_await readable(s->watch);
    s->check_open();
    std::optional<passed_bytes> came = try_receive(*s, into, most);
    if (came) co_return std::move(*came);
  }
}

promise<std::size_t> read_when_there(socket_ptr s, std::span<std::byte> into) {
  promise<passed_bytes> coming = receive_when_there(std::move(s), into, 0);
  const passed_bytes came = co_await std::move(coming);
  co_return came.bytes;
}

// ---- sending ----

// Sends what it can of `bytes`; -1: nothing now.
ssize_t try_send(watched_socket& s, byte_view bytes, std::span<const int> descriptors) {
  control_space control;
  iovec piece{const_cast<std::byte*>(bytes.data()), std::min(bytes.size(), stream_piece_bytes)};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    const std::size_t size = descriptors.size_bytes();
    std::memset(control.bytes.data(), 0, CMSG_SPACE(size));
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* const c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(c), descriptors.data(), size);
  }
  const ssize_t n = uninterrupted([&] { return ::sendmsg(s.fd(), &message, MSG_NOSIGNAL); });
  if (n < 0 && errno != EAGAIN) throw s.failure("write to");
  if (n > 0) s.counts.written_bytes += static_cast<std::uint64_t>(n);
  return n;
}

promise<> send_piece(watched_socket& s, byte_view bytes, std::span<const int> descriptors) {
  while (!bytes.empty()) {
    s.check_open();
    const ssize_t n = try_send(s, bytes, descriptors);
    if (n < 0) {
      co_await writable(s.watch);
      co_await pause();  // as in a write over TCP
    } else {
      bytes = bytes.subspan(static_cast<std::size_t>(n));
      descriptors = {};  // they went with the first byte
      co_await maybe_pause(stream_cost(static_cast<std::size_t>(n)));
    }
  }
}

promise<> send_all(socket_ptr s, byte_view bytes, std::span<const int> descriptors) {
  const detail::direction_guard guard(s->writes, detail::two_writes);
  promise<> sent = send_piece(*s, bytes, descriptors);
  co_await std::move(sent);
}

promise<> send_pieces(socket_ptr s, std::span<const byte_view> pieces) {
  const detail::direction_guard guard(s->writes, detail::two_writes);
  for (const byte_view piece : pieces) {
    promise<> sent = send_piece(*s, piece, {});
    co_await std::move(sent);
  }
}

}  // namespace

unix_stream::unix_stream(unique_fd socket, std::string name)
    : socket_(std::make_shared<watched_socket>(std::move(socket), std::move(name))) {}

promise<std::size_t> unix_stream::read(std::span<std::byte> into) {
  if (into.empty()) return rejected<std::size_t>(contract_error("a read into no bytes"));
  if (!socket_->watch.is_open()) return rejected<std::size_t>(socket_->closed("read from"));
  if (socket_->reads) return rejected<std::size_t>(contract_error(detail::two_reads));
  try {
    const std::optional<passed_bytes> came = try_receive(*socket_, into, 0);
    if (came) return ready(std::size_t{came->bytes});
    return read_when_there(socket_, into);
  } catch (...) {
    return rejected<std::size_t>(std::current_exception());
  }
}

promise<> unix_stream::write(byte_view bytes) { return send(bytes, {}); }

promise<> unix_stream::write_pieces(std::span<const byte_view> pieces) {
  if (!socket_->watch.is_open()) return rejected(socket_->closed("write to"));
  return send_pieces(socket_, pieces);
}

promise<> unix_stream::shutdown() {
  if (socket_->writes) return rejected(contract_error(detail::two_writes));
  if (!socket_->watch.is_open() || socket_->write_side_ended) return ready();
  socket_->write_side_ended = true;
  if (::shutdown(socket_->fd(), SHUT_WR) < 0 && errno != ENOTCONN) {
    return rejected(socket_->failure("end the writing to"));
  }
  return ready();
}

void unix_stream::close() noexcept { socket_->watch.close(); }
stream_counts unix_stream::counts() const noexcept { return socket_->counts; }
std::string unix_stream::peer() const { return socket_->name; }

promise<> unix_stream::send(byte_view bytes, std::span<const int> descriptors) {
  if (!socket_->watch.is_open()) return rejected(socket_->closed("write to"));
  if (!descriptors.empty() && bytes.empty()) {
    return rejected(contract_error("descriptors are passed with no bytes"));
  }
  if (descriptors.size() > most_descriptors) {
    return rejected(contract_error("more than 253 descriptors are passed at once"));
  }
  return send_all(socket_, bytes, descriptors);
}

promise<passed_bytes> unix_stream::receive(std::span<std::byte> into, std::size_t most) {
  if (into.empty()) return rejected<passed_bytes>(contract_error("a read into no bytes"));
  if (!socket_->watch.is_open()) return rejected<passed_bytes>(socket_->closed("read from"));
  if (socket_->reads) return rejected<passed_bytes>(contract_error(detail::two_reads));
  most = std::min(most, most_descriptors);
  try {
    std::optional<passed_bytes> came = try_receive(*socket_, into, most);
    if (came) return ready(std::move(*came));
    return receive_when_there(socket_, into, most);
  } catch (...) {
    return rejected<passed_bytes>(std::current_exception());
  }
}

peer_credentials unix_stream::credentials() const {
  if (!socket_->watch.is_open()) throw socket_->closed("identify");
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(socket_->fd(), SOL_SOCKET, SO_PEERCRED, &who, &size) < 0) {
    throw socket_->failure("identify");
  }
  return {who.pid, who.uid, who.gid};
}

std::pair<std::unique_ptr<unix_stream>, std::unique_ptr<unix_stream>> unix_stream_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) < 0) {
    throw errno_error("cannot make a pair of sockets");
  }
  unique_fd first(ends[0]);
  unique_fd second(ends[1]);
  auto one = std::make_unique<unix_stream>(std::move(first), "a socket pair");
  return {std::move(one), std::make_unique<unix_stream>(std::move(second), "a socket pair")};
}

}  // namespace fermata
