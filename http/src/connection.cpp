// SPDX-License-Identifier: MIT
// The conversation of one connection: connection_body.cpp reads the bodies that are streamed,
// connection_send.cpp writes, connection_watch.cpp looks for the client's end.

#include "connection.hpp"

#include "request_access.hpp"

#include <fermata/promise/pause.hpp>

#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace fermata::http::detail {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_lingering_bytes = 1 << 20;

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
  if (asked.is_pending()) asked = wait_beside_client(std::move(asked));
  response r;
  try {
    response answered = co_await std::move(asked);
    r = std::move(answered);
    if (!may_answer(r.status))
      throw contract_error("the handler answered with status " + std::to_string(r.status));
  } catch (const cancelled&) {
    if (!left_) throw;
  } catch (...) {
    if (gone_) throw;
    if (body_failed_) {
      refuse(parser_.failure());
      co_return false;
    }
    if (!left_) log_failure("handler", message_of(std::current_exception()));
    r = text_response(500, "internal server error\n");
  }
  under_way.end();
  if (left_) {
    note_left(began);
    co_return false;
  }
  if (is_streamed_) co_await leave_body();
  body_bytes_ = 0;
  if (!core_.options.on_answered) co_return co_await send(std::move(r));
  co_return co_await send_and_tell(std::move(r), began);
}

promise<std::size_t> connection::read_into(std::span<char> room) {
  reading_ = stream_.read(std::as_writable_bytes(room));
  const std::size_t size = co_await reading_;
  if (late_) throw cancelled();  // what came was there in the very turn of the deadline
  stopped_ = false;
  core_.counters.received_bytes += size;
  co_return size;
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
