// SPDX-License-Identifier: MIT
/// What a handler answers.
///
/// Shape:  the body: bytes that are there, sent without a copy; a part of a file; or pieces.
/// Pauses: a source of pieces, until the next one is there.
/// Thread: loop.
#pragma once

#include <fermata/http/request.hpp>
#include <fermata/http/response_head.hpp>
#include <fermata/http/shared_bytes.hpp>
#include <fermata/http/validators.hpp>
#include <fermata/promise/promise.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace fermata::http {

/// Gives the next piece of a body at each call, and no bytes at its end.
///
/// Shape:    the next call comes when the piece before has been written, so a slow client slows the
///           source down. A rejection cuts the connection: the client sees that the body is broken.
/// Lifetime: kept until the response has been sent.
using body_source = std::function<promise<shared_bytes>()>;

/// A part of an open file, which stays so as long as `owner` does.
struct file_part {
  std::shared_ptr<const void> owner;
  int descriptor = -1;
  std::uint64_t first = 0;
  std::uint64_t size = 0;
};

struct response {
  response() {}  // no aggregate: see STYLE.md, coroutines under g++ 12
  explicit response(int s) : status(s) {}

  int status = 200;
  header_block headers;
  shared_bytes body;
  std::optional<file_part> file;  ///< in place of `body`
  body_source stream;             ///< in place of `body`; not called for HEAD and bodiless statuses
  /// How much `stream` will give; none: sent in chunks, or up to the end of the connection (1.0).
  std::optional<std::uint64_t> stream_bytes;
  bool close = false;  ///< end the connection after this response
  /// Of a stream that is of use to a client that is there alone: it ends as a pending handler does
  /// whose client has left, also where that has ended its side alone.
  bool ends_with_client = false;
};

/// `text` as text/plain in UTF-8.
[[nodiscard]] response text_response(int status, std::string text);

/// Answers a GET or HEAD for `whole`: 200, 206, 304, 412 or 416 as `evaluate` says, with ETag,
/// Last-Modified, Accept-Ranges and Content-Type. `what.size` must be the size of `whole`.
/// Throws: `contract_error` where it is not.
[[nodiscard]] response serve(const request& r,
                             const representation& what,
                             const shared_bytes& whole,
                             std::chrono::sys_seconds now);

}  // namespace fermata::http
