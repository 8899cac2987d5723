// SPDX-License-Identifier: MIT
// Clients that leave while a handler is pending, or a stream for them alone.
//
// The end of a client stands behind what it has pipelined, so that is read ahead into the parser's
// buffer, which nobody else touches meanwhile; where it is full we look no further. A handler that
// answers at once pays nothing, one that does not a wait for the descriptor.

#include "connection.hpp"

#include <fermata/promise/sleep.hpp>

#include <exception>
#include <span>
#include <utility>

namespace fermata::http::detail {
namespace {

constexpr int client_left = 499;  // as nginx logs it

}  // namespace

// A body that is streamed is the handler's to read: at its end the watch begins.
promise<response> connection::wait_beside_client(promise<response> asked) {
  if (!out_.empty()) asked = flush_beside(std::move(asked));
  handling_ = asked = stop_watching_after(std::move(asked));
  if (!is_streamed_ || body_over_) watching_ = watch_client();
  return asked;
}

// What is cancelled is this wait: a promise that others wait for too does not hear of it.
promise<response> connection::stop_watching_after(promise<response> asked) {
  std::exception_ptr stop;
  try {
    co_await asked;
  } catch (const cancelled&) {
    stop = std::current_exception();
  } catch (...) {
    static_cast<void>(asked.error());  // it is given on below
  }
  handling_ = promise<response>();
  co_await stop_watching();
  if (stop) std::rethrow_exception(stop);
  co_return co_await std::move(asked);
}

promise<> connection::stop_watching() {
  if (!watching_) co_return;
  // Of a read it is the read alone that is cancelled: what has come by then is kept.
  if (reading_ahead_.is_pending()) {
    cancel(reading_ahead_);
  } else {
    cancel(watching_);
  }
  co_await watching_;
  watching_ = promise<>();
}

// As a handler: but what is cancelled is the source, or the write that it waits for.
promise<bool> connection::send_watched_stream(response r, bool chunked) {
  std::exception_ptr failed;
  bool whole = false;
  streaming_ = send_stream(std::move(r), chunked);
  if (!is_streamed_ || body_over_) watching_ = watch_client();
  try {
    whole = co_await streaming_;
  } catch (...) {
    failed = std::current_exception();
  }
  streaming_ = promise<bool>();
  co_await stop_watching();
  if (left_) {
    cut_ = true;
    co_return false;
  }
  if (failed) std::rethrow_exception(failed);
  co_return whole;
}

bool connection::awaits_client() const { return handling_ || streaming_; }

promise<> connection::watch_client() {
  try {
    for (;;) {
      const std::span<char> room = parser_.prepare();
      if (room.empty()) co_return;
      reading_ahead_ = stream_.read(std::as_writable_bytes(room));
      const std::size_t size = co_await reading_ahead_;
      parser_.commit(size);
      core_.counters.received_bytes += size;
      if (!awaits_client()) co_return;
      if (size == 0) break;
    }
    co_await sleep_for(core_.options.half_closed_time);
  } catch (const cancelled&) {  // caught here, so that a cancel of who waits for us stays theirs
    co_return;
  } catch (const error&) {  // a reset
  }
  if (!awaits_client()) co_return;
  left_ = true;
  if (handling_) {
    cancel(handling_);
  } else {
    cancel(streaming_);
  }
}

void connection::note_left(time_point began) {
  ++core_.counters.abandoned;
  cut_ = true;
  if (!core_.options.on_answered) return;
  const answered_request told{parser_.current(), stream_.peer(), client_left, 0,
                              core_.loop.now() - began};
  core_.options.on_answered(told);
}

}  // namespace fermata::http::detail
