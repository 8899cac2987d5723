// SPDX-License-Identifier: MIT
// The conversation of one connection.
//
// Responses gather in out_ and are written when the parser needs more bytes, when a handler or a
// source makes us wait, or when there are 64 KiB of them. So pipelined requests that came in one
// read are answered in one write, and a single one in one write too.

#include "connection.hpp"

#include "request_access.hpp"

#include <fermata/http/status.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/send_file.hpp>

#include <fmt/format.h>

#include <array>
#include <exception>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

namespace fermata::http::detail {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_output_bytes = 64 * 1024;  // gathered before it is written
constexpr std::size_t small_body_bytes = 16 * 1024;   // copied behind its head
constexpr std::size_t most_lingering_bytes = 1 << 20;
constexpr auto request_cost = 15us;

// One more while it lives.
class counted {
public:
  explicit counted(std::uint64_t& of) : of_(&of) { ++of; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  ~counted() { end(); }
  void end() {
    if (of_ != nullptr) --*std::exchange(of_, nullptr);
  }

private:
  std::uint64_t* of_;
};

bool may_answer(int status) noexcept { return status >= 200 && status <= 599; }

}  // namespace

connection::connection(server_core& core, byte_stream& stream, bool refused)
    : core_(core),
      stream_(stream),
      parser_(core.options.limits,
              core.options.rule_of_body ? [&core](const request& r) { return core.body_limit(r); }
                                        : request_parser::body_limit()),
      deadline_(core.loop, *this, core.shortest_time()),
      refused_(refused) {}

void connection::enter(phase p) {
  if (p == phase_) return;  // bytes that arrive do not move a deadline
  phase_ = p;
  const server_options& o = core_.options;
  switch (p) {
    case phase::idle:
      return deadline_.set(refused_ ? o.linger_time : o.idle_time);
    case phase::head:
      return deadline_.set(refused_ ? o.linger_time : o.header_time);
    case phase::body:
      return deadline_.set(is_streamed_ ? body_patience_ : o.body_time);
    case phase::writing:
      return deadline_.set(o.write_time);
    case phase::lingering:
      return deadline_.set(o.linger_time);
    case phase::handling:
      return deadline_.clear();
  }
}

// A write that moves on is not late, however long it takes as a whole.
void connection::expired() noexcept {
  if (phase_ == phase::writing) {
    const std::uint64_t written = stream_.counts().written_bytes;
    if (std::exchange(written_before_, written) != written)
      return deadline_.set(core_.options.write_time);
  }
  late_ = true;
  ++core_.counters.timeouts;
  phase_ == phase::writing ? cancel(writing_) : cancel(reading_);
}

void connection::stop() {
  if (phase_ != phase::idle || stopped_) return;
  stopped_ = true;
  cancel(reading_);
}

promise<> connection::run() {
  try {
    deadline_.set(refused_ ? core_.options.linger_time : core_.options.idle_time);
    co_await converse();
  } catch (const cancelled&) {
    if (!late_ && !stopped_) throw;
    give_up_late();
  } catch (const error&) {
    cut_ = true;  // the client is gone, which is its right
  }
  if (!cut_) {
    try {
      co_await end();
    } catch (const cancelled&) {
      if (!late_) throw;
    } catch (const error&) {
      cut_ = true;
    }
  }
  if (cut_) stream_.cancel();  // a reset: an end alone could pass for the end of the body
}

// After a deadline: a client that is slow with its request is told so.
void connection::give_up_late() {
  cut_ = late_ && (phase_ == phase::writing || phase_ == phase::lingering);
  const bool tells = late_ && !discards_ && (phase_ == phase::head || phase_ == phase::body);
  late_ = false;
  if (!tells) return;
  append_answer(408, "the request took too long\n");
  lingers_ = true;
}

promise<> connection::converse() {
  for (bool goes_on = true; goes_on;) {
    switch (parser_.next()) {
      case parse_event::need_more: {
        const bool received = co_await receive();
        goes_on = received;
        break;
      }
      case parse_event::head:
        begin_body();
        if (!is_streamed_) break;
        {
          const bool kept = co_await answer_streamed();
          goes_on = kept;
        }
        co_await maybe_pause(request_cost);
        break;
      case parse_event::body:
        parser_.collect_body();
        break;
      case parse_event::done: {
        const bool kept = co_await answer();
        goes_on = kept;
        co_await maybe_pause(request_cost);
        break;
      }
      case parse_event::failed:
        refuse(parser_.failure());
        goes_on = false;
        break;
    }
  }
}

void connection::begin_body() {
  has_head_ = true;
  const request& r = parser_.current();
  const bool waits = r.expects_continue() && r.has_body() && parser_.buffered_bytes() == 0;
  is_streamed_ =
      core_.options.rule_of_body && r.has_body() && core_.options.rule_of_body(r).streamed;
  if (waits && !is_streamed_) out_ += continue_text;
  if (!is_streamed_) return;
  says_continue_ = waits;
  body_over_ = body_failed_ = false;
  body_patience_ = core_.options.body_time;
  body_since_ = 0;
  request_access::set_incoming(parser_.current(), this);
}

promise<bool> connection::receive() {
  if (!out_.empty()) co_await flush();
  const bool idle = parser_.is_idle();
  if (idle && core_.stopping) co_return false;
  enter(idle ? phase::idle : has_head_ ? phase::body : phase::head);
  const std::size_t size = co_await read_into(parser_.prepare());
  parser_.commit(size);
  co_return size > 0;
}

promise<response> connection::ask_handler() {
  try {
    return core_.handle(parser_.current());
  } catch (...) {
    return rejected<response>(std::current_exception());
  }
}

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

// A request that no handler is asked about; the connection goes on, unless it is over the limit.
void connection::append_refusal(const server_core::verdict& v) {
  const request& asked = parser_.current();
  header_block headers;
  headers.add("Retry-After", std::to_string(v.retry_after.count()));
  headers.add("Content-Type", "text/plain; charset=utf-8");
  head_facts facts;
  facts.version = asked.version();
  facts.keep_alive = asked.keep_alive() && !refused_ && !is_streamed_ && !core_.stopping;
  facts.length = v.why.size();
  facts.date = core_.date();
  append_head(out_, v.status, headers, facts);
  if (!asked.is_head()) out_ += v.why;
  count(v.status);
  lingers_ = !facts.keep_alive;
}

promise<bool> connection::answer() {
  has_head_ = false;
  if (const auto v = core_.judge(parser_.current(), stream_.peer(), refused_); v.status != 0) {
    append_refusal(v);
    if (out_.size() >= most_output_bytes) co_await flush();
    co_return !lingers_;
  }
  enter(phase::handling);
  ++core_.counters.requests;
  const time_point began = core_.options.on_answered ? core_.loop.now() : time_point();
  counted under_way(core_.counters.active_requests);
  promise<response> asked = ask_handler();
  if (asked.is_pending() && !out_.empty()) asked = flush_beside(std::move(asked));
  response r;
  try {
    response answered = co_await std::move(asked);
    r = std::move(answered);
    if (!may_answer(r.status))
      throw contract_error("the handler answered with status " + std::to_string(r.status));
  } catch (const cancelled&) {
    throw;
  } catch (...) {
    if (gone_) throw;
    if (body_failed_) {
      refuse(parser_.failure());
      co_return false;
    }
    log_failure("handler", message_of(std::current_exception()));
    r = text_response(500, "internal server error\n");
  }
  under_way.end();
  if (is_streamed_) co_await leave_body();
  body_bytes_ = 0;
  if (!core_.options.on_answered) co_return co_await send(std::move(r));
  co_return co_await send_and_tell(std::move(r), began);
}

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
      const bool whole = co_await send_stream(std::move(r), chunked);
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
  co_await flush();
  const std::uint64_t before = stream_.counts().written_bytes;
  const auto start = [this, &part] {
    return fermata::send_file(stream_, part.descriptor, part.first, part.size);
  };
  try {
    promise<> sending = write_by(start);
    co_await sending;
  } catch (const file_failure& e) {
    body_bytes_ += stream_.counts().written_bytes - before;
    log_failure("body", e.what());
    throw;
  } catch (...) {
    body_bytes_ += stream_.counts().written_bytes - before;
    throw;
  }
  body_bytes_ += part.size;
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

promise<std::size_t> connection::read_into(std::span<char> room) {
  reading_ = stream_.read(std::as_writable_bytes(room));
  const std::size_t size = co_await reading_;
  if (late_) throw cancelled();  // what came was there in the very turn of the deadline
  stopped_ = false;
  core_.counters.received_bytes += size;
  co_return size;
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

void connection::refuse(const parse_failure& f) {
  ++core_.counters.malformed;
  append_answer(f.status, std::string(f.why) + "\n");
  lingers_ = true;
}

// An answer to what is no request, or none that a handler is asked for; the last one.
void connection::append_answer(int status,
                               std::string_view text,
                               std::chrono::seconds retry_after) {
  header_block headers;
  if (retry_after.count() > 0) headers.add("Retry-After", std::to_string(retry_after.count()));
  headers.add("Content-Type", "text/plain; charset=utf-8");
  head_facts facts;
  facts.keep_alive = false;
  facts.length = text.size();
  facts.date = core_.date();
  append_head(out_, status, headers, facts);
  out_ += text;
  count(status);
}

void connection::count(int status) {
  ++core_.counters.responses[static_cast<std::size_t>(status / 100) % 6];
}

promise<> connection::turn_away() {
  append_answer(503, "too many connections\n", core_.options.retry_after);
  lingers_ = true;
  try {
    co_await end();
  } catch (const cancelled&) {
    if (!late_) throw;
  } catch (const error&) {
    cut_ = true;
  }
}

promise<> connection::end() {
  if (!out_.empty()) co_await flush();
  enter(phase::lingering);
  co_await stream_.shutdown();
  if (lingers_) co_await linger();
  deadline_.clear();
}

// Reads what the client still sends, so that no reset overtakes our last answer.
promise<> connection::linger() {
  std::string scratch(4096, '\0');
  for (std::size_t total = 0; total < most_lingering_bytes;) {
    const std::size_t size = co_await read_into(scratch);
    if (size == 0) break;
    total += size;
  }
}

}  // namespace fermata::http::detail
