// SPDX-License-Identifier: MIT
// Cuts a connection's bytes into heads, chunk lines and body pieces.
//
// Lines are found here, by memchr on what is new, so that a head of n bytes that comes in n pieces
// costs O(n); the grammar then sees it once. Invariants between two calls: begin_ <= end_ <=
// buffer_.size() <= header_bytes, and after need_more there is room for at least one byte.

#include "message_grammar.hpp"
#include "request_access.hpp"
#include "request_line.hpp"
#include "text.hpp"

#include <fermata/http/request_parser.hpp>
#include <fermata/loop/error.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace fermata::http {
namespace {

constexpr std::size_t first_buffer_bytes = 4096;
constexpr parse_failure body_too_large{413, "the body is too large"};

// Whether `line` says that no data follows: zeros, then at most an extension.
bool is_last_chunk(std::string_view line) noexcept {
  const std::size_t end = std::min(line.find_first_not_of('0'), line.size());
  return end > 0 &&
         (end == line.size() || line[end] == ';' || line[end] == ' ' || line[end] == '\t');
}

}  // namespace

request_parser::request_parser(parser_limits limits, body_limit of)
    : limits_(limits),
      body_limit_(std::move(of)),
      grammar_(std::make_unique<detail::message_grammar>()) {
  if (limits.header_bytes < parser_limits::least_header_bytes)
    throw contract_error("cannot make a request parser: header_bytes is under 64");
  if (limits.header_bytes > (1U << 30))
    throw contract_error("cannot make a request parser: header_bytes is over 1 GiB");
}

request_parser::~request_parser() = default;

std::span<char> request_parser::prepare() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (begin_ > 0 && buffer_.size() - end_ < buffer_.size() / 2) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) {
    const std::size_t wanted = std::max(first_buffer_bytes, buffer_.size() * 2);
    buffer_.resize(std::min(wanted, limits_.header_bytes));
  }
  return std::span<char>(buffer_).subspan(end_);
}

void request_parser::commit(std::size_t size) {
  if (size > buffer_.size() - end_)
    throw contract_error("cannot commit: more bytes than were prepared");
  end_ += size;
}

std::size_t request_parser::feed(std::string_view bytes) {
  const std::span<char> room = prepare();
  const std::size_t size = std::min(room.size(), bytes.size());
  std::copy_n(bytes.data(), size, room.data());
  commit(size);
  return size;
}

parse_event request_parser::fail(parse_failure f) {
  failure_ = f;
  state_ = state::failed;
  return parse_event::failed;
}

void request_parser::take(std::size_t size) {
  begin_ += size;
  scanned_ = line_ = lines_ = 0;
}

parse_event request_parser::next() {
  switch (state_) {
    case state::start:
    case state::head:
      return read_head();
    case state::head_done:
      return after_head();
    case state::sized_body:
      return read_sized_body();
    case state::chunk_line:
      return read_chunk_line();
    case state::chunk_data:
      return read_chunk_data();
    case state::over:
      state_ = state::start;
      skipped_line_ = false;
      return read_head();
    case state::failed:
      break;
  }
  return parse_event::failed;
}

parse_event request_parser::read_head() {
  for (;;) {
    const std::string_view bytes = window();
    const std::size_t end = bytes.find('\n', scanned_);
    if (end == std::string_view::npos) {
      scanned_ = bytes.size();
      const parse_failure f = judge_partial_head();
      return f ? fail(f) : parse_event::need_more;
    }
    if (end == line_ || bytes[end - 1] != '\r') return fail({400, "a line ends without CR"});
    const std::string_view line = bytes.substr(line_, end - 1 - line_);
    scanned_ = end + 1;
    if (lines_ == 0 && line.empty() && !skipped_line_) {
      skipped_line_ = true;
      take(2);
      continue;
    }
    if (lines_ == 0) {
      if (line.size() + 2 > limits_.request_line_bytes)
        return fail({414, "the request line is too long"});
      if (const parse_failure f = detail::judge_request_line(line)) return fail(f);
      state_ = state::head;
    }
    if (scanned_ > limits_.header_bytes) return fail({431, "the head is too large"});
    if (line.empty()) return finish_head();
    ++lines_;
    line_ = scanned_;
  }
}

// Refuses as early as a head without its end can be refused.
parse_failure request_parser::judge_partial_head() const {
  const std::size_t size = buffered_bytes();
  if (lines_ == 0) {
    if (const parse_failure f = detail::judge_line_start(window())) return f;
    if (size >= limits_.request_line_bytes) return {414, "the request line is too long"};
  }
  if (size >= limits_.header_bytes) return {431, "the head is too large"};
  return {};
}

parse_event request_parser::finish_head() {
  detail::request_access::begin(request_, window().substr(0, scanned_));
  take(scanned_);
  if (const parse_failure f = grammar_->read_head(request_, limits_)) return fail(f);
  if (const parse_failure f = detail::read_target(request_)) return fail(f);
  body_room_ = body_limit_ ? body_limit_(request_) : limits_.body_bytes;
  if (request_.content_length().value_or(0) > body_room_) return fail(body_too_large);
  state_ = state::head_done;
  return parse_event::head;
}

parse_event request_parser::after_head() {
  overhead_ = 0;
  after_chunk_ = last_chunk_ = false;
  if (request_.is_chunked()) {
    state_ = state::chunk_line;
    return read_chunk_line();
  }
  remaining_ = request_.content_length().value_or(0);
  state_ = state::sized_body;
  return read_sized_body();
}

parse_event request_parser::read_sized_body() {
  if (remaining_ == 0) {
    state_ = state::over;
    return parse_event::done;
  }
  if (buffered_bytes() == 0) return parse_event::need_more;
  piece_ = window().substr(0, std::min<std::uint64_t>(remaining_, buffered_bytes()));
  if (const parse_failure f = grammar_->read_data(piece_)) return fail(f);
  remaining_ -= piece_.size();
  take(piece_.size());
  return parse_event::body;
}

// An element is the CRLF of the chunk before, the line, and after the last chunk the trailers.
parse_event request_parser::read_chunk_line() {
  for (;;) {
    const std::string_view bytes = window();
    if (after_chunk_ && !bytes.empty() && bytes.front() != '\r')
      return fail({400, "a chunk is longer than its size"});
    const std::size_t end = bytes.find('\n', scanned_);
    if (end == std::string_view::npos) {
      scanned_ = bytes.size();
      if (overhead_ + bytes.size() >= limits_.header_bytes)
        return fail({431, "the chunk extensions or trailers are too large"});
      return parse_event::need_more;
    }
    if (end == line_ || bytes[end - 1] != '\r') return fail({400, "a line ends without CR"});
    const std::string_view line = bytes.substr(line_, end - 1 - line_);
    const bool is_data_end = lines_ == 0 && after_chunk_;
    const bool is_size = lines_ == (after_chunk_ ? 1U : 0U);
    scanned_ = line_ = end + 1;
    ++lines_;
    if (is_data_end && !line.empty()) return fail({400, "a chunk is longer than its size"});
    if (is_data_end) continue;
    if (is_size) last_chunk_ = is_last_chunk(line);
    if (last_chunk_ && (is_size || !line.empty())) continue;
    break;
  }
  const std::string_view element = window().substr(0, scanned_);
  detail::chunk_line chunk;
  if (const parse_failure f = grammar_->read_chunk_line(element, chunk)) return fail(f);
  overhead_ += last_chunk_ ? element.size() : chunk.extension_bytes;
  if (overhead_ > limits_.header_bytes)
    return fail({431, "the chunk extensions or trailers are too large"});
  if (chunk.size > body_room_) return fail(body_too_large);
  body_room_ -= chunk.size;
  take(element.size());
  remaining_ = chunk.size;
  state_ = last_chunk_ ? state::over : state::chunk_data;
  return last_chunk_ ? parse_event::done : read_chunk_data();
}

parse_event request_parser::read_chunk_data() {
  if (buffered_bytes() == 0) return parse_event::need_more;
  piece_ = window().substr(0, std::min<std::uint64_t>(remaining_, buffered_bytes()));
  if (const parse_failure f = grammar_->read_data(piece_)) return fail(f);
  remaining_ -= piece_.size();
  take(piece_.size());
  if (remaining_ == 0) {
    after_chunk_ = true;
    state_ = state::chunk_line;
  }
  return parse_event::body;
}

void request_parser::collect_body() { detail::request_access::body(request_).append(piece_); }

}  // namespace fermata::http
