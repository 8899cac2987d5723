// SPDX-License-Identifier: MIT
/// Bodies of requests that a handler reads while they come.
///
/// Shape:    `server_options::rule_of_body` says for which requests; their handler is called when
///           the head is there. `body_of` gives the pieces of any request, also of one whose body
///           was collected, so that a handler need not know.
/// Pauses:   a read waits for the client; a client is read no faster than the handler reads.
/// Thread:   loop.
/// Rejects:  `error` where the client leaves, the framing is broken or the body is over its limit:
///           let it pass, the server then answers 400 or 413 or cuts the connection. `cancelled`
///           where the client is too slow (answered 408).
/// Lifetime: the request's, which is that of the handler's promise and its response's stream.
#pragma once

#include <fermata/http/response.hpp>
#include <fermata/http/shared_bytes.hpp>
#include <fermata/promise/promise.hpp>

#include <cstdint>

namespace fermata::http {

/// How the server takes the body of a request.
struct body_rule {
  /// The handler is called at the head; else when all of the body is there.
  bool streamed = false;
  std::uint64_t most_bytes = 64 * 1024;  ///< without the chunk framing; 413 for more
};

class incoming_body {
public:
  /// The next piece, at most as large as the parser's buffer; no bytes at the end. One read may be
  /// under way. The first one says `100 Continue` to a client that waits for it.
  virtual promise<shared_bytes> read() = 0;

protected:
  ~incoming_body() = default;
};

/// The body in pieces. Lifetime: `r` lives as long as the source is used.
[[nodiscard]] body_source body_of(const request& r);

}  // namespace fermata::http
