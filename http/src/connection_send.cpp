// SPDX-License-Identifier: MIT
// What goes out on a connection.
//
// Responses gather in out_ and are written when the parser needs more bytes, when a handler or a
// source makes us wait, or when there are 64 KiB of them. So pipelined requests that came in one
// read are answered in one write, and a single one in one write too.

#include "connection.hpp"

#include <fermata/http/status.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/send_file.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

namespace fermata::http::detail {
namespace {

constexpr std::size_t small_body_bytes = 16 * 1024;  // copied behind its head

}  // namespace

// Writes what earlier requests were answered while `p` is pending, and settles like `p` when both
// are over: what `p` runs on may point into us.
template <typename T>
promise<T> connection::flush_beside(promise<T> p) {
  promise<> flushing = flush();
  std::exception_ptr stop;
  try {
    co_await p;
  } catch (const cancelled&) {
    stop = std::current_exception();
  } catch (...) {
    static_cast<void>(p.error());  // it is given on below
  }
  if (stop) cancel(flushing);
  try {
    co_await flushing;
  } catch (const cancelled&) {
    if (!stop) throw;
  }
  if (stop) std::rethrow_exception(stop);
  co_return co_await std::move(p);
}

template promise<response> connection::flush_beside(promise<response> p);

promise<bool> connection::send_and_tell(response r, time_point began) {
  const int status = r.status;
  std::exception_ptr failed;
  bool kept = false;
  try {
    kept = co_await send(std::move(r));
  } catch (...) {
    failed = std::current_exception();
  }
  const answered_request told{parser_.current(), stream_.peer(), status, body_bytes_,
                              core_.loop.now() - began};
  core_.options.on_answered(told);
  if (failed) std::rethrow_exception(failed);
  co_return kept;
}

promise<bool> connection::send(response r) {
  const request& asked = parser_.current();
  const bool bodiless = is_bodiless(r.status);
  head_facts facts;
  facts.version = asked.version();
  facts.date = core_.date();
  facts.length = r.stream ? r.stream_bytes : r.file ? r.file->size : r.body.size();
  facts.chunked = !facts.length && asked.version() == http_version::v1_1;
  const bool framed = bodiless || facts.length || facts.chunked;
  facts.keep_alive = asked.keep_alive() && framed && !r.close && !core_.stopping && !refused_;
  if (says_continue_ && r.stream) {  // it may read the body
    out_ += continue_text;
    says_continue_ = false;
  }
  if (says_continue_ || (is_streamed_ && body_failed_)) facts.keep_alive = false;
  const bool kept = facts.keep_alive;
  append_head(out_, r.status, r.headers, facts);
  count(r.status);
  if (!bodiless && !asked.is_head()) {
    if (r.stream) {
      const bool chunked = facts.chunked;
      promise<bool> sending = r.ends_with_client ? send_watched_stream(std::move(r), chunked)
                                                 : send_stream(std::move(r), chunked);
      const bool whole = co_await sending;
      if (!whole) co_return false;
    } else if (r.file) {
      co_await send_file_part(std::move(*r.file));
    } else if (r.body.size() <= small_body_bytes) {
      out_ += r.body.view();
      body_bytes_ += r.body.size();
    } else {
      const std::size_t size = r.body.size();
      co_await send_bytes(std::move(r.body));
      body_bytes_ += size;
    }
  }
  if (out_.size() >= most_output_bytes) co_await flush();
  lingers_ = !kept && (parser_.buffered_bytes() > 0 || (is_streamed_ && !body_over_));
  co_return kept;
}

promise<> connection::send_bytes(shared_bytes bytes) {
  const std::array<byte_view, 2> pieces = {bytes_of(out_), bytes_of(bytes.view())};
  co_await write(pieces);
  clear_output();
}

// A small part goes behind its head, in one write. What fails ends the connection: the head is out.
promise<> connection::send_file_part(file_part part) {
  if (part.size <= small_body_bytes) {
    const std::size_t before = out_.size();
    out_.resize(before + part.size);
    const std::span<char> room = std::span<char>(out_).subspan(before);
    if (read_cached(part.descriptor, part.first, std::as_writable_bytes(room)) == part.size) {
      body_bytes_ += part.size;
      co_return;
    }
    out_.resize(before);  // a disk is to be waited for
  }
  const std::uint64_t before = stream_.counts().written_bytes + out_.size();
  const auto start = [this, &part] {
    return fermata::send_file(stream_, part.descriptor, part.first, part.size, bytes_of(out_));
  };
  const auto count_sent = [this, before] {
    body_bytes_ += std::max(stream_.counts().written_bytes, before) - before;
  };
  try {
    promise<> sending = write_by(start);
    co_await sending;
  } catch (const file_failure& e) {
    count_sent();
    log_failure("body", e.what());
    throw;
  } catch (...) {
    count_sent();
    throw;
  }
  count_sent();
  clear_output();
}

// The next piece; none: the source failed, or gives another length than it announced.
promise<std::optional<shared_bytes>> connection::next_piece(response& r, std::uint64_t& left) {
  try {
    shared_bytes piece = co_await r.stream();
    const bool fits = !r.stream_bytes || (piece.empty() ? left == 0 : piece.size() <= left);
    if (!fits) throw contract_error("the body has another length than announced");
    if (r.stream_bytes) left -= piece.size();
    co_return piece;
  } catch (const cancelled&) {
    throw;
  } catch (...) {
    if (gone_) throw;
    log_failure("body", message_of(std::current_exception()));
  }
  co_return std::nullopt;
}

// False: the body could not be sent as it was announced, and the connection must end now.
promise<bool> connection::send_stream(response r, bool chunked) {
  std::uint64_t left = r.stream_bytes.value_or(0);
  for (;;) {
    promise<std::optional<shared_bytes>> next = next_piece(r, left);
    if (next.is_pending() && !out_.empty()) next = flush_beside(std::move(next));
    std::optional<shared_bytes> piece = co_await std::move(next);
    cut_ = !piece;
    if (!piece) co_return false;
    if (piece->empty()) break;
    if (chunked) fmt::format_to(std::back_inserter(out_), "{:x}\r\n", piece->size());
    const std::size_t size = piece->size();
    if (piece->size() <= small_body_bytes) {
      out_ += piece->view();
    } else {
      co_await send_bytes(std::move(*piece));
    }
    body_bytes_ += size;
    if (chunked) out_ += "\r\n";
    if (out_.size() >= most_output_bytes) co_await flush();
    co_await maybe_pause(request_cost);
  }
  if (chunked) out_ += "0\r\n\r\n";
  co_return true;
}

void connection::log_failure(std::string_view what, std::string_view why) {
  const request& r = parser_.current();
  core_.log(log_level::error,
            fmt::format("{} failed method={} path={} why={}", what, r.method(), r.path(), why));
  ++core_.counters.handler_failures;
}

promise<> connection::write(std::span<const byte_view> pieces) {
  return write_by([this, pieces] { return stream_.write_pieces(pieces); });
}

// Writes by `start`, under the limit of time.
template <typename Start>
promise<> connection::write_by(Start start) {
  written_before_ = stream_.counts().written_bytes;
  const std::uint64_t before = written_before_;
  enter(phase::writing);
  try {
    writing_ = start();
    co_await writing_;
    if (late_) throw cancelled();
  } catch (const error&) {
    gone_ = true;
    throw;
  }
  enter(phase::handling);
  core_.counters.sent_bytes += stream_.counts().written_bytes - before;
}

promise<> connection::flush() {
  const std::array<byte_view, 1> pieces = {bytes_of(out_)};
  co_await write(pieces);
  clear_output();
}

void connection::clear_output() {
  if (out_.capacity() > 2 * most_output_bytes) out_ = std::string();
  out_.clear();
}

}  // namespace fermata::http::detail
