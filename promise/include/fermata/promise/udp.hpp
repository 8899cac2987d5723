// SPDX-License-Identifier: MIT
/// UDP: datagrams to and from an address.
///
/// Shape:    one receive and one send may be under way at once; another of the same direction
///           rejects with `contract_error`. A datagram is sent or received as a whole.
/// Pauses:   never by itself: the await of each promise checks the slice, also where datagrams come
///           faster than they are taken.
/// Thread:   loop.
/// Rejects:  `error` with the code (`cannot send 70000 bytes to 127.0.0.1:9: message too long (uv
///           EMSGSIZE)`), and the socket stays usable; `cancelled`; `loop_closed`.
/// Cancel:   immediate; no datagram is lost or sent by halves. The direction is free once the
///           cancelled promise has settled: await it before the next one.
/// Lifetime: the bytes live until the promise has settled. A socket that is destroyed closes: its
///           promises settle with `cancelled`.
#pragma once

#include <fermata/promise/socket_address.hpp>
#include <fermata/promise/stream.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace fermata {

namespace detail {
struct watched_socket;
}

struct udp_options {
  udp_options() {}  // no aggregate: safe as a default argument under g++ 12
  bool reuse_address = false;
  bool reuse_port = false;  ///< several sockets at one port share what comes
  bool may_broadcast = false;
  /// Bytes of datagrams that the system keeps until they are received; more are dropped. 0: the
  /// system's default. The system may give less.
  int receive_buffer_bytes = 0;
};

/// What has come.
struct datagram {
  std::size_t bytes = 0;       ///< that stand in the caller's place
  std::size_t sent_bytes = 0;  ///< that its sender sent
  socket_address from;
  /// Whether it was larger than the place; what did not fit is gone.
  [[nodiscard]] bool is_truncated() const noexcept { return sent_bytes > bytes; }
};

class udp_socket {
public:
  /// The most that a datagram can carry over IPv4.
  static constexpr std::size_t most_bytes = 65'507;

  /// Binds to `ADDR:PORT` (`127.0.0.1:0`, `[::]:53`); port 0 takes a free one.
  /// Throws: `error` (`cannot bind to 127.0.0.1:80: permission denied (uv EACCES)`).
  explicit udp_socket(std::string_view address, const udp_options& options = {});
  explicit udp_socket(const socket_address& address, const udp_options& options = {});
  udp_socket(udp_socket&& other) noexcept = default;
  udp_socket& operator=(udp_socket&& other) noexcept {
    std::swap(socket_, other.socket_);
    return *this;
  }
  ~udp_socket() { close(); }

  /// Where it is bound, with the real port.
  [[nodiscard]] socket_address address() const noexcept { return address_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return address_.port(); }

  /// From now on only datagrams of this peer come, and `send` goes there. A peer whose port nobody
  /// listens at is told by the next receive or send: connection refused.
  /// Throws: `error`.
  void connect(const socket_address& peer);

  /// Hands a datagram to the system; waits where its buffers are full.
  promise<> send_to(byte_view bytes, socket_address to);
  /// To the peer of `connect`.
  promise<> send(byte_view bytes);
  /// The next datagram, into `into`, which is not empty.
  promise<datagram> receive(std::span<std::byte> into);
  void close() noexcept;

private:
  std::shared_ptr<detail::watched_socket> socket_;
  socket_address address_;
};

}  // namespace fermata
