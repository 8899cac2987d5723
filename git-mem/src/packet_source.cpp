// SPDX-License-Identifier: MIT
#include "packet_source.hpp"

#include "costs.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/sleep.hpp>

#include <utility>

namespace fermata::git_mem::detail {

namespace {

std::string in_seconds(std::chrono::nanoseconds time) {
  if (time < std::chrono::seconds(1)) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) +
           " ms";
  }
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

// Only time that we wait counts: who analyses slowly does not call the server slow.
void check_rate(packet_source& s, std::chrono::nanoseconds waited, std::size_t received) {
  s.rate_waited += waited;
  s.rate_received += received;
  const std::chrono::nanoseconds window = s.options.rate_time;
  if (window.count() == 0) return;
  if (s.rate_received >= s.options.rate_bytes) {
    s.rate_waited = {};
    s.rate_received = 0;
  } else if (s.rate_waited >= window) {
    throw failure(reason::remote, "the server is too slow: " + std::to_string(s.rate_received) +
                                      " bytes in " + in_seconds(window));
  }
}

}  // namespace

promise<bool> fill(packet_source& s) {
  const time_point began = event_loop::current().now();
  const clone_options& o = s.options;
  const bool is_first = !s.has_heard && o.first_byte_timeout < o.idle_timeout;
  const std::chrono::nanoseconds limit = is_first ? o.first_byte_timeout : o.idle_timeout;
  promise<std::size_t> read = s.stream.read(s.buffer);
  promise<std::size_t> timed = with_timeout(limit, std::move(read));
  std::size_t n = 0;
  try {
    n = co_await timed;
  } catch (const timed_out&) {
    throw failure(reason::remote, is_first
                                      ? "the server said nothing at all for " + in_seconds(limit)
                                      : "the server was silent for " + in_seconds(limit));
  }
  s.has_heard = true;
  if (n == 0) {
    s.packets.finish_input();
    co_return false;
  }
  check_rate(s, event_loop::current().now() - began, n);
  s.packets.feed(std::span(s.buffer).first(n));
  co_await maybe_pause(copy_cost(n));
  co_return true;
}

promise<> send_text(packet_source& s, std::string text) {
  promise<> timed = with_timeout(s.options.idle_timeout, write_text(s.stream, std::move(text)));
  try {
    co_await timed;
  } catch (const timed_out&) {
    throw failure(reason::remote,
                  "the server read nothing for " + in_seconds(s.options.idle_timeout));
  }
}

}  // namespace fermata::git_mem::detail
