// SPDX-License-Identifier: MIT
/// TCP: listeners, connections and addresses.
///
/// Shape:  streams are as stream.hpp says; `peer()` is `127.0.0.1:4711` or `[::1]:4711`.
/// Pauses: until there is a connection; where one is there it checks the slice.
/// Thread: loop; names are resolved on the pool.
#pragma once

#include <fermata/promise/socket_address.hpp>
#include <fermata/promise/stream.hpp>
#include <fermata/promise/unique_fd.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fermata {

namespace detail {
struct descriptor;
}

struct listen_options {
  listen_options() {}  // no aggregate: safe as a default argument under g++ 12
  int backlog = 1024;  ///< the system's limit holds too
  /// Lets several listeners that all say so share the port, one a loop: the system spreads the
  /// connections over them (SO_REUSEPORT).
  bool reuse_port = false;
  bool no_delay = true;  ///< of the connections: small writes leave at once (TCP_NODELAY)
};

/// Accepts connections at an address.
class tcp_listener {
public:
  /// Listens on `ADDR:PORT` (`127.0.0.1:8080`, `[::1]:0`, `localhost:80`); port 0 takes a free one.
  /// An IPv6 address serves IPv6 alone.
  /// Throws: `error` (`cannot listen on ADDR:PORT: address already in use (uv EADDRINUSE)`).
  explicit tcp_listener(std::string_view address, const listen_options& options = {});
  /// Takes over a socket that listens, of a service manager or of a process before.
  /// Throws: `error` (`cannot take over a socket: ...`) where it does not; it is then closed.
  explicit tcp_listener(unique_fd listening);
  tcp_listener(tcp_listener&& other) noexcept = default;
  tcp_listener& operator=(tcp_listener&& other) noexcept;
  ~tcp_listener() { close(); }

  /// Where it truly listens, with the real port.
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  /// The next connection. One accept may be under way at once; a cancel is immediate and loses no
  /// connection.
  /// Rejects: `error` with the code; after EMFILE, ENFILE, ENOBUFS or ENOMEM the connection stays
  ///          in the backlog, so wait before the next try. `cancelled` where the listener is
  ///          closed.
  promise<std::unique_ptr<byte_stream>> accept();
  /// Stops listening; connections in the backlog are reset.
  void close() noexcept;

private:
  std::shared_ptr<detail::descriptor> socket_;
  std::string address_;
  std::uint16_t port_ = 0;
};

struct connect_options {
  connect_options() {}  // no aggregate: safe as a default argument under g++ 12
  /// For each address of the host.
  std::chrono::nanoseconds timeout = std::chrono::seconds(10);
  /// The next address is tried beside one that has not answered for so long (RFC 8305).
  std::chrono::nanoseconds next_after = std::chrono::milliseconds(250);
  bool no_delay = true;  ///< small writes leave at once (TCP_NODELAY)
};

/// Connects to the first address of `host` that answers. All are tried in the order that the
/// resolver gives; when it settles no try is under way any more.
///
/// Rejects: `error` that names every try: `cannot connect to localhost:1: [::1]:1: connection
///          refused; 127.0.0.1:1: connection refused (uv ECONNREFUSED)`; `cancelled`, at once while
///          connecting, after the resolver has ended while it resolves.
promise<std::unique_ptr<byte_stream>> tcp_connect(std::string host,
                                                  std::uint16_t port,
                                                  connect_options options = {});

/// The same for addresses that are known. Rejects: also `contract_error` where there is none.
promise<std::unique_ptr<byte_stream>> tcp_connect(std::vector<socket_address> addresses,
                                                  connect_options options = {});

}  // namespace fermata
