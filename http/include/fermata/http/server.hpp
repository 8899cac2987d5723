// SPDX-License-Identifier: MIT
/// An HTTP/1.1 server on one loop.
///
/// Shape:    each connection is read, answered and written in order; what comes pipelined is parsed
///           from one read and answered in one write where that fits. Bodies of requests are
///           collected up to `limits.body_bytes` before the handler is called, or read by it as
///           they come: see incoming_body.hpp.
/// Bounds:   memory per connection is the parser's buffer (`limits.header_bytes`), one request with
///           its collected body, and 64 KiB of output; connections are limited.
/// Overload: what is over a limit is refused at once, with a Retry-After: 503 for the limits of the
///           server, 429 for those of a client. `is_exempt` lets a health check through.
/// Leaving:  the promise of a handler whose client has gone is cancelled: at once after a reset,
///           after `half_closed_time` where the client has ended its side, for then it may be
///           reading yet. What is pipelined behind the request stays for later. The promise is
///           left alone where others wait for it too. `response::ends_with_client` is for streams
///           that are to end so; others end when a write fails.
/// Pauses:   after each request and each piece of 64 KiB; connections run in the prompt class.
/// Thread:   loop.
/// Lifetime: the loop outlives the server; handlers may be called until the server is gone and
///           every promise of it has settled.
#pragma once

#include <fermata/http/incoming_body.hpp>
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

/// A request that has been answered, as an access log wants it.
struct answered_request {
  const request& asked;
  std::string peer;                  ///< of the connection: `127.0.0.1:4711`
  int status = 0;                    ///< 499: the client left before there was an answer
  std::uint64_t body_bytes = 0;      ///< that were written, also where the client left early
  std::chrono::nanoseconds took{0};  ///< from the end of the request to the last write
};

struct server_options {
  server_options() {}  // no aggregate: see STYLE.md, coroutines under g++ 12
  parser_limits limits;
  /// For each request: how its body is taken. Not set: collected, up to `limits.body_bytes`.
  std::function<body_rule(const request&)> rule_of_body;
  std::size_t most_connections = 10'000;  ///< one more gets a 503 and is closed
  /// From one address, of IPv6 from one /64: the same for one more. 0: no limit.
  std::size_t most_connections_per_client = 0;
  /// Calls of the handler that are under way; 503 for one more. 0: no limit.
  std::size_t most_requests = 0;
  /// Requests a second of one client in the long run, and how many at once; 429 for more. 0: no
  /// limit.
  double client_rate = 0;
  std::size_t client_burst = 100;
  /// Who the client of a request is; the default is the address, of IPv6 the /64. Behind a proxy it
  /// stands in a field that the proxy sets.
  std::function<std::string(const request&, const std::string& peer)> client_of;
  /// Of 503 and 429, at least.
  std::chrono::seconds retry_after = std::chrono::seconds(1);
  /// Requests that these limits do not hold for. Up to 64 connections over the limit are read for
  /// one, for `linger_time` each.
  std::function<bool(const request&)> is_exempt;
  /// From the first byte of a request to the end of its head; 408 after that.
  std::chrono::nanoseconds header_time = std::chrono::seconds(10);
  /// From the end of the head to the end of the body; 408 after that. Of a body that is streamed:
  /// how long the handler may wait for each 16 KiB.
  std::chrono::nanoseconds body_time = std::chrono::seconds(30);
  /// Between two requests, and before the first.
  std::chrono::nanoseconds idle_time = std::chrono::seconds(75);
  /// For each write, of at most 64 KiB.
  std::chrono::nanoseconds write_time = std::chrono::seconds(60);
  /// How long a handler may go on whose client has ended its side of the connection.
  std::chrono::nanoseconds half_closed_time = std::chrono::milliseconds(250);
  /// How long a refused client may go on sending before it is cut off.
  std::chrono::nanoseconds linger_time = std::chrono::seconds(2);
  /// What the Date field says; the default is the system's clock.
  std::function<std::chrono::sys_seconds()> wall_clock;
  /// Told of every request that a handler was called for, after its answer.
  std::function<void(const answered_request&)> on_answered;
};

/// What a server counts, since it was made.
struct server_counters {
  std::uint64_t connections = 0;             ///< accepted, also those over the limit
  std::uint64_t refused_connections = 0;     ///< over the limit
  std::uint64_t active_connections = 0;      ///< now
  std::uint64_t active_requests = 0;         ///< handlers that are under way now
  std::uint64_t overloaded = 0;              ///< requests refused with 503
  std::uint64_t rate_limited = 0;            ///< requests refused with 429
  std::uint64_t requests = 0;                ///< complete ones that a handler was called for
  std::array<std::uint64_t, 6> responses{};  ///< by class: [2] is 2xx; [0] is not used
  std::uint64_t malformed = 0;               ///< requests that the parser refused
  std::uint64_t timeouts = 0;
  std::uint64_t abandoned = 0;  ///< requests whose client left before there was an answer
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
