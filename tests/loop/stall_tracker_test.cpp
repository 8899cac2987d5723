// SPDX-License-Identifier: MIT
// What a stall monitor concludes, from samples made by hand: no threads, no time.
#include <fermata/loop/detail/stall_tracker.hpp>

#include <catch2/catch.hpp>

#include <algorithm>

using namespace std::chrono_literals;
using fermata::stall_kind;
using fermata::time_point;
using fermata::detail::loop_sample;
using fermata::detail::report_limiter;
using fermata::detail::stall_event;
using fermata::detail::stall_tracker;

namespace {

constexpr fermata::detail::stall_limits limits{20ms, 1s, 100ms};

time_point at(std::chrono::nanoseconds t) { return time_point(1s + t); }

loop_sample sample(std::chrono::nanoseconds now) {
  loop_sample s;
  s.now = at(now);
  s.turn = 7;
  const std::string_view task = "import";
  std::copy(task.begin(), task.end(), s.task.begin());
  return s;
}
loop_sample held(std::chrono::nanoseconds since,
                 std::chrono::nanoseconds checked,
                 std::chrono::nanoseconds now) {
  loop_sample s = sample(now);
  s.held_since_ns = at(since).time_since_epoch().count();
  s.checked_ns = at(checked).time_since_epoch().count();
  return s;
}
loop_sample with_jobs(std::chrono::nanoseconds now, std::uint64_t submitted, std::uint64_t queued) {
  loop_sample s = sample(now);
  s.jobs_submitted = submitted;
  s.jobs_queued = queued;
  return s;
}
loop_sample late(std::chrono::nanoseconds now, std::uint64_t lags, std::chrono::nanoseconds lag) {
  loop_sample s = sample(now);
  s.timer_lags = lags;
  s.timer_lag_ns = lag.count();
  return s;
}

// The reports of a tracker, as `kind held` with a dot where it is over.
std::string line(const std::vector<stall_event>& events) {
  std::string out;
  for (const stall_event& e : events) {
    out += std::string(to_string(e.report.kind)) + " " +
           std::to_string(e.report.held / std::chrono::milliseconds(1)) +
           (e.report.is_over ? ". " : " ");
  }
  return out;
}

}  // namespace

TEST_CASE("a stall is reported at 1, 2 and 4 times its limit and at its end", "[loop][stall]") {
  stall_tracker t(limits);
  std::string told;
  for (auto now = 0ms; now <= 100ms; now += 1ms) told += line(t.see(held(0ms, 0ms, now)));
  told += line(t.see(held(103ms, 103ms, 104ms)));
  told += line(t.see(held(104ms, 104ms, 105ms)));
  CHECK(told == "step 20 step 40 step 80 step 103. ");
}

TEST_CASE("many short steps without a look are a turn stall", "[loop][stall]") {
  stall_tracker t(limits);
  CHECK(line(t.see(held(0ms, 12ms, 21ms))) == "turn 21 ");
  CHECK(line(t.see(sample(25ms))) == "turn 25. ");
  CHECK(line(t.see(held(30ms, 39ms, 51ms))) == "step 21 ");
}

TEST_CASE("a report names the task, the site and the turn", "[loop][stall]") {
  stall_tracker t(limits);
  loop_sample s = held(0ms, 0ms, 30ms);
  s.site = std::source_location::current();
  const auto events = t.see(s);
  REQUIRE(events.size() == 1);
  fermata::stall_report r = events.front().report;
  r.loop = "main";
  const std::string site = "loop/stall_tracker_test.cpp:" + std::to_string(s.site.line());
  CHECK(to_string(r) ==
        "step stall: main is held for 30.0 ms by task import at " + site + ", turn 7");
  r.is_over = true;
  r.suppressed = 2;
  CHECK(to_string(r) == "step stall: main was held for 30.0 ms by task import at " + site +
                            ", turn 7, 2 reports suppressed");
}

TEST_CASE("a loop that looks or sleeps is not stalled", "[loop][stall]") {
  stall_tracker t(limits);
  std::string told;
  for (auto now = 0ms; now <= 500ms; now += 1ms) {
    told += line(t.see(held(now - 19ms, now, now)));
    told += line(t.see(sample(now)));
  }
  CHECK(told.empty());
}

TEST_CASE("a job that waits for a thread is a pool stall, also in a queue that moves",
          "[loop][stall]") {
  stall_tracker t(limits);
  std::string told = line(t.see(with_jobs(0ms, 10, 0)));
  told += line(t.see(with_jobs(100ms, 30, 20)));   // jobs 11 to 30 have come by now
  told += line(t.see(with_jobs(600ms, 40, 20)));   // 21 is the oldest
  told += line(t.see(with_jobs(1050ms, 40, 15)));  // 26
  CHECK(told.empty());
  told += line(t.see(with_jobs(1100ms, 40, 11)));  // 30 came at 100 ms at the latest
  CHECK(told == "pool 1000 ");
  told = line(t.see(with_jobs(1200ms, 40, 10)));  // 31 came at 600 ms
  CHECK(told == "pool 1000. ");
  told = line(t.see(with_jobs(2600ms, 40, 10)));
  CHECK(told == "pool 2000 ");
}

TEST_CASE("a late timer is told once, and again when it is worse or after a while",
          "[loop][stall]") {
  stall_tracker t(limits);
  std::string told = line(t.see(late(0ms, 3, 500ms)));  // before the monitor came
  told += line(t.see(late(10ms, 4, 50ms)));
  CHECK(told.empty());
  told += line(t.see(late(20ms, 5, 120ms)));
  told += line(t.see(late(30ms, 6, 130ms)));
  told += line(t.see(late(40ms, 6, 240ms)));  // no new one
  told += line(t.see(late(50ms, 7, 240ms)));
  told += line(t.see(late(2s, 8, 110ms)));
  CHECK(told == "timer 120 timer 240 timer 110 ");
}

TEST_CASE("the monitor looks seldom while all is well and often while a loop is held",
          "[loop][stall]") {
  stall_tracker t(limits);
  CHECK(t.next(sample(0ms)) == at(5ms));
  CHECK(t.next(held(0ms, 0ms, 1ms)) == at(5ms));
  CHECK(t.next(held(0ms, 0ms, 5ms)) == at(6250us));
  CHECK(t.next(held(0ms, 0ms, 50ms)) == at(51250us));
}

TEST_CASE("reports are limited in each minute, the last one is kept for an end", "[loop][stall]") {
  report_limiter l(3);
  CHECK(l.admits(at(0s), false));
  CHECK(l.admits(at(1s), false));
  CHECK_FALSE(l.admits(at(2s), false));
  CHECK(l.admits(at(3s), true));
  CHECK_FALSE(l.admits(at(4s), true));
  CHECK_FALSE(l.admits(at(59s), false));
  CHECK_FALSE(l.admits(at(60s), false));  // one left, for an end
  CHECK(l.admits(at(61s), false));
  report_limiter single(1);
  CHECK(single.admits(at(0s), false));
  CHECK_FALSE(single.admits(at(1s), true));
  report_limiter silent(0);
  CHECK_FALSE(silent.admits(at(0s), true));
}
