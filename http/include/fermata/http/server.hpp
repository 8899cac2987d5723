// SPDX-License-Identifier: MIT
/// An HTTP/1.1 server on one loop.
///
/// Shape:    each connection is read, answered and written in order; what comes pipelined is parsed
///           from one read and answered in one write where that fits. Bodies of requests are
///           collected up to `limits.body_bytes` before the handler is called.
/// Bounds:   memory per connection is the parser's buffer (`limits.header_bytes`), one request with
///           its body, and 64 KiB of output; connections are limited.
/// Pauses:   after each request and each piece of 64 KiB; connections run in the prompt class.
/// Thread:   loop.
/// Lifetime: the loop outlives the server; handlers may be called until the server is gone and
///           every promise of it has settled.
#pragma once

#include <fermata/http/request_parser.hpp>
#include <fermata/http/router.hpp>
#include <fermata/promise/promise.hpp>
#include <fermata/promise/stream.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace fermata::http {

struct server_options {
  server_options() {}  // no aggregate: see STYLE.md, coroutines under g++ 12
  parser_limits limits;
  std::size_t most_connections = 10'000;  ///< one more gets a 503 and is closed
  /// From the first byte of a request to the end of its head; 408 after that.
  std::chrono::nanoseconds header_time = std::chrono::seconds(10);
  /// From the end of the head to the end of the body; 408 after that.
  std::chrono::nanoseconds body_time = std::chrono::seconds(30);
  /// Between two requests, and before the first.
  std::chrono::nanoseconds idle_time = std::chrono::seconds(75);
  /// For each write, of at most 64 KiB.
  std::chrono::nanoseconds write_time = std::chrono::seconds(60);
  /// How long a refused client may go on sending before it is cut off.
  std::chrono::nanoseconds linger_time = std::chrono::seconds(2);
  /// What the Date field says; the default is the system's clock.
  std::function<std::chrono::sys_seconds()> wall_clock;
};

/// What a server counts, since it was made.
struct server_counters {
  std::uint64_t connections = 0;             ///< accepted, also those over the limit
  std::uint64_t refused_connections = 0;     ///< over the limit
  std::uint64_t active_connections = 0;      ///< now
  std::uint64_t requests = 0;                ///< complete ones that a handler was called for
  std::array<std::uint64_t, 6> responses{};  ///< by class: [2] is 2xx; [0] is not used
  std::uint64_t malformed = 0;               ///< requests that the parser refused
  std::uint64_t timeouts = 0;
  std::uint64_t handler_failures = 0;
  std::uint64_t accept_failures = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_bytes = 0;
};

namespace detail {
struct server_core;
}

class server {
public:
  /// Throws: `contract_error` for limits that no request fits in.
  explicit server(handler h, server_options options = {});
  server(server&&) noexcept;
  server& operator=(server&&) noexcept;
  /// Stops listening and cancels what is left; `shutdown` first, to end gracefully.
  ~server();

  /// Listens on `ADDR:PORT` (`127.0.0.1:8080`, `[::1]:0`) and serves what comes. May be called for
  /// several addresses.
  /// Throws: `error` where the address is malformed or cannot be had.
  /// Returns: the address with the real port.
  std::string listen(std::string_view address);

  /// Serves each stream that `accept` gives, one after another, until it rejects with `cancelled`.
  /// Any other rejection is logged and counted, and followed by a wait of 10 ms, twice as long each
  /// time in a row up to 1 s: out of descriptors, a server neither spins nor ends.
  void accept_from(std::function<promise<std::unique_ptr<byte_stream>>()> accept);

  /// Serves one connection over any stream; settles when it has ended, never rejects for what the
  /// client does.
  promise<> serve(std::unique_ptr<byte_stream> stream);

  /// Ends gracefully: stops listening, closes idle connections at once, answers requests that have
  /// begun with `Connection: close`, and after `patience` cancels what is left. Settles when the
  /// last connection has ended.
  promise<> shutdown(std::chrono::nanoseconds patience);

  [[nodiscard]] const server_counters& counters() const noexcept;

private:
  std::shared_ptr<detail::server_core> core_;  // shared with the frames of the connections
};

}  // namespace fermata::http
