// SPDX-License-Identifier: MIT
// Bodies that a handler reads while they come.

#include "connection.hpp"
#include "request_access.hpp"

#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace fermata::http::detail {
namespace {

constexpr std::size_t patience_bytes = 16 * 1024;  // of a streamed body, for each body_time
constexpr std::size_t most_discarded_bytes = 256 * 1024;

}  // namespace

// What comes while the handler reads it is written by nobody else: all before it goes out first.
promise<bool> connection::answer_streamed() {
  if (!out_.empty()) co_await flush();
  bool kept = co_await answer();
  if (kept && !body_over_) {
    if (!out_.empty()) co_await flush();  // the client may wait for the answer before it goes on
    discards_ = true;
    const bool whole = co_await discard_body();
    kept = whole;
    discards_ = false;
  }
  request_access::set_incoming(parser_.current(), nullptr);
  is_streamed_ = says_continue_ = false;
  co_return kept;
}

promise<shared_bytes> connection::read() {
  if (reading_body_ && reading_body_.is_pending())
    return rejected<shared_bytes>(contract_error(fermata::detail::two_reads));
  reading_body_ = read_piece();
  return reading_body_;
}

promise<shared_bytes> connection::read_piece() {
  while (!body_over_) {
    switch (parser_.next()) {
      case parse_event::head:
      case parse_event::need_more:
        co_await receive_piece();
        break;
      case parse_event::body:
        co_return shared_bytes(std::string(parser_.body_piece()));
      case parse_event::done:
        body_over_ = true;
        if (handling_ && handling_.is_pending()) watching_ = watch_client();
        break;
      case parse_event::failed:
        body_failed_ = true;
        throw error("cannot read the body: " + std::string(parser_.failure().why));
    }
  }
  co_return shared_bytes();
}

// Waits for the client, who has so long for each 16 KiB, whatever the handler does meanwhile.
promise<> connection::receive_piece() {
  if (std::exchange(says_continue_, false)) {
    const std::array<byte_view, 1> pieces = {bytes_of(continue_text)};
    co_await write(pieces);
  }
  const bool writes = phase_ == phase::writing;
  const time_point began = core_.loop.now();
  if (!writes) enter(phase::body);
  const std::size_t size = co_await read_into(parser_.prepare());
  if (!writes && phase_ == phase::body) enter(phase::handling);
  parser_.commit(size);
  body_patience_ -= std::min(body_patience_, core_.loop.now() - began);
  body_since_ += size;
  if (body_since_ >= patience_bytes) {
    body_since_ = 0;
    body_patience_ = core_.options.body_time;
  }
  if (size > 0) co_return;
  gone_ = true;
  throw error("cannot read the body: the client has left");
}

// A handler has answered and does not wait for what it reads.
promise<> connection::leave_body() {
  if (!reading_body_ || !reading_body_.is_pending()) co_return;
  cancel(reading_body_);
  try {
    co_await reading_body_;
  } catch (const cancelled&) {
    if (late_) throw;
  } catch (const error&) {
    if (gone_) throw;
  }
}

// A handler may answer before it has read all; a little more is read, so that the connection stays.
promise<bool> connection::discard_body() {
  if (body_failed_ || says_continue_) co_return false;
  for (std::size_t total = 0; total < most_discarded_bytes;) {
    const shared_bytes piece = co_await read_piece();
    if (piece.empty()) co_return true;
    total += piece.size();
  }
  lingers_ = true;
  co_return false;
}

}  // namespace fermata::http::detail
