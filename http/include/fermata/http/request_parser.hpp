// SPDX-License-Identifier: MIT
/// Reads requests out of the bytes of one connection.
///
/// Strict on purpose: whatever two servers could read differently (smuggling) is refused. That is
/// any Transfer-Encoding but a single `chunked` on HTTP/1.1, Transfer-Encoding beside
/// Content-Length, any second or odd Content-Length, Host missing on 1.1 or sent twice, folded
/// lines, a bare CR or LF, NUL and other control characters, space before the colon.
///
/// | status | when                                                                     |
/// | 400    | malformed, or one of the above                                           |
/// | 413    | the body is over `body_bytes`                                            |
/// | 414    | the request line is over `request_line_bytes`                            |
/// | 417    | an expectation other than `100-continue`                                 |
/// | 431    | the head, or chunk extensions and trailers, are over `header_bytes`, or  |
/// |        | there are more than `header_count` fields                                |
/// | 501    | an unknown transfer coding, the method CONNECT                           |
/// | 505    | a version other than 1.0 and 1.1                                         |
///
/// Pauses: never; one call looks at no more than the buffered bytes (at most `header_bytes`).
/// Thread: the owner's.
#pragma once

#include <fermata/http/request.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace fermata::http {

struct parser_limits {
  static constexpr std::size_t least_header_bytes = 64;
  std::size_t request_line_bytes = 8 * 1024;
  std::size_t header_bytes = 16 * 1024;  ///< request line and fields; also the largest buffer
  std::size_t header_count = 100;
  std::uint64_t body_bytes = 64 * 1024;  ///< without the chunk framing
};

/// Why a request was refused; the connection cannot go on after it.
struct parse_failure {
  int status = 0;  ///< 0: nothing is wrong
  std::string_view why;
  [[nodiscard]] explicit operator bool() const noexcept { return status != 0; }
};

enum class parse_event : std::uint8_t {
  need_more,  ///< nothing more to say about the bytes so far
  head,       ///< `current()` is there, its body not yet
  body,       ///< `body_piece()` is the next part of the body
  done,       ///< the request is complete; the next call begins another one
  failed      ///< `failure()` says why; nothing else follows
};

namespace detail {
class message_grammar;
}

/// A connection's parser: bytes in by `prepare` and `commit`, events out by `next`.
///
/// Shape: pieces of any size from 1 byte. Bytes after a request stay for the next one: call `next`
///        until it says `need_more` or `failed`, then read on.
/// Cost:  O(bytes); one buffer of at most `header_bytes`, and no allocation for a request that
///        is no larger than an earlier one.
class request_parser {
public:
  /// The most bytes that the body of a request with this head may have.
  using body_limit = std::function<std::uint64_t(const request&)>;

  /// Throws: `contract_error` if `limits` leaves no room for a request line.
  explicit request_parser(parser_limits limits = {}, body_limit of = {});
  ~request_parser();
  request_parser(const request_parser&) = delete;
  request_parser& operator=(const request_parser&) = delete;

  /// Room to read into, invalid after the next call of any other function but `commit`.
  /// Shape: never empty after `next` said `need_more`; empty if the buffer is full before that.
  [[nodiscard]] std::span<char> prepare();
  /// Takes the first `size` bytes of the prepared room as received.
  void commit(std::size_t size);
  /// Copies as many of `bytes` as the buffer has room for; returns how many.
  std::size_t feed(std::string_view bytes);

  parse_event next();

  /// The request of the last `head`; valid until the call of `next` after `done`.
  [[nodiscard]] const request& current() const noexcept { return request_; }
  [[nodiscard]] request& current() noexcept { return request_; }
  /// Adds the last body piece to `current().body()`.
  void collect_body();
  /// Valid until the next call of `next` or `prepare`.
  [[nodiscard]] std::string_view body_piece() const noexcept { return piece_; }
  [[nodiscard]] const parse_failure& failure() const noexcept { return failure_; }

  /// Between two requests, with nothing of the next one received.
  [[nodiscard]] bool is_idle() const noexcept {
    return state_ == state::start && buffered_bytes() == 0;
  }
  /// Received and not yet parsed.
  [[nodiscard]] std::size_t buffered_bytes() const noexcept { return end_ - begin_; }
  /// Bytes that the buffer holds now.
  [[nodiscard]] std::size_t capacity() const noexcept { return buffer_.size(); }

private:
  enum class state : std::uint8_t {
    start,
    head,
    head_done,
    sized_body,
    chunk_line,
    chunk_data,
    over,
    failed
  };

  [[nodiscard]] std::string_view window() const noexcept {
    return {buffer_.data() + begin_, end_ - begin_};
  }
  parse_event fail(parse_failure f);
  parse_event read_head();
  parse_event finish_head();
  parse_event after_head();
  parse_event read_sized_body();
  parse_event read_chunk_line();
  parse_event read_chunk_data();
  parse_failure judge_partial_head() const;
  void take(std::size_t size);

  parser_limits limits_;
  body_limit body_limit_;
  std::uint64_t body_room_ = 0;  // that chunks may still fill
  std::vector<char> buffer_;
  std::size_t begin_ = 0;        // of what is not parsed
  std::size_t end_ = 0;          // of what was received
  std::size_t scanned_ = 0;      // from begin_: where the search for the next line end goes on
  std::size_t line_ = 0;         // from begin_: start of the line that is being received
  std::size_t lines_ = 0;        // complete ones of this head or chunk line
  std::size_t overhead_ = 0;     // chunk extensions and trailers of this request
  std::uint64_t remaining_ = 0;  // of the sized body or the chunk
  state state_ = state::start;
  bool skipped_line_ = false;  // the one empty line allowed before a request
  bool after_chunk_ = false;   // the next chunk line begins with the CRLF of the last chunk
  bool last_chunk_ = false;
  request request_;
  parse_failure failure_;
  std::string_view piece_;
  std::unique_ptr<detail::message_grammar> grammar_;
};

}  // namespace fermata::http
