// SPDX-License-Identifier: MIT
/// TCP: listeners, connections and addresses.
///
/// Shape:  the streams are as stream.hpp says, with TCP_NODELAY; `peer()` is `127.0.0.1:4711` or
///         `[::1]:4711`. Sockets are non-blocking descriptors of our own.
/// Thread: loop; names are resolved on the pool.
#pragma once

#include <fermata/promise/stream.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace fermata {

namespace detail {
struct descriptor;
}

struct listen_options {
  listen_options() {}  // no aggregate: safe as a default argument under g++ 12
  int backlog = 1024;  ///< the system's limit holds too
};

/// Accepts connections at an address.
class tcp_listener {
public:
  /// Listens on `ADDR:PORT` (`127.0.0.1:8080`, `[::1]:0`, `localhost:80`); port 0 takes a free one.
  /// An IPv6 address serves IPv6 alone.
  /// Throws: `error` (`cannot listen on ADDR:PORT: address already in use (uv EADDRINUSE)`).
  explicit tcp_listener(std::string_view address, const listen_options& options = {});
  tcp_listener(tcp_listener&& other) noexcept = default;
  tcp_listener& operator=(tcp_listener&& other) noexcept;
  ~tcp_listener() { close(); }

  /// Where it truly listens, with the real port.
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  /// The next connection. One accept may be under way at once; a cancel is immediate and loses no
  /// connection.
  /// Rejects: `error` with the code; after EMFILE, ENFILE, ENOBUFS or ENOMEM the connection stays
  /// in
  ///          the backlog, so wait before the next try. `cancelled` where the listener is closed.
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
};

/// Connects to the first address of `host` that answers.
///
/// Rejects: `error` that names every try: `cannot connect to localhost:1: [::1]:1: connection
///          refused; 127.0.0.1:1: connection refused (uv ECONNREFUSED)`; `cancelled`, at once while
///          connecting, after the resolver has ended while it resolves.
promise<std::unique_ptr<byte_stream>> tcp_connect(std::string host,
                                                  std::uint16_t port,
                                                  connect_options options = {});

}  // namespace fermata
