// SPDX-License-Identifier: MIT
// Clients that leave while a handler is pending.
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
  if (watching_) {
    // Of a read it is the read alone that is cancelled: what has come by then is kept.
    if (reading_ahead_.is_pending()) {
      cancel(reading_ahead_);
    } else {
      cancel(watching_);
    }
    co_await watching_;
    watching_ = promise<>();
  }
  if (stop) std::rethrow_exception(stop);
  co_return co_await std::move(asked);
}

promise<> connection::watch_client() {
  try {
    for (;;) {
      const std::span<char> room = parser_.prepare();
      if (room.empty()) co_return;
      reading_ahead_ = stream_.read(std::as_writable_bytes(room));
      const std::size_t size = co_await reading_ahead_;
      parser_.commit(size);
      core_.counters.received_bytes += size;
      if (!handling_) co_return;
      if (size == 0) break;
    }
    co_await sleep_for(core_.options.half_closed_time);
  } catch (const cancelled&) {  // caught here, so that a cancel of who waits for us stays theirs
    co_return;
  } catch (const error&) {  // a reset
  }
  if (!handling_) co_return;
  left_ = true;
  cancel(handling_);
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
