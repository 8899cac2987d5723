// SPDX-License-Identifier: MIT
// A monitor on true threads: each test holds a loop until the monitor has said so.
#include "support/policy.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/stall_monitor.hpp>
#include <fermata/loop/worker_pool.hpp>

#include <catch2/catch.hpp>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <iostream>
#include <mutex>
#include <thread>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::event_loop;
using fermata::stall_kind;
using fermata::stall_monitor;
using fermata::stall_options;
using fermata::stall_report;

namespace {

/// Keeps the reports; any thread.
class collector {
public:
  stall_options options(std::chrono::nanoseconds limit = 5ms) {
    stall_options o;
    o.limit = limit;
    o.reports_per_minute = 1000;
    o.on_stall = [this](const stall_report& r) {
      const std::lock_guard lock(mutex_);
      reports_.push_back(r);
      count_.store(reports_.size());
    };
    return o;
  }
  [[nodiscard]] std::size_t size() const { return count_.load(); }
  [[nodiscard]] std::vector<stall_report> reports() const {
    const std::lock_guard lock(mutex_);
    return reports_;
  }
  /// Those of the step whose check is in that line: a busy machine may stall others too.
  [[nodiscard]] std::vector<stall_report> of_line(int line) const {
    std::vector<stall_report> mine;
    for (const stall_report& r : reports()) {
      if (static_cast<int>(r.site.line()) == line) mine.push_back(r);
    }
    return mine;
  }
  [[nodiscard]] bool is_over() const {
    const std::lock_guard lock(mutex_);
    return !reports_.empty() && reports_.back().is_over;
  }

private:
  mutable std::mutex mutex_;
  std::vector<stall_report> reports_;
  std::atomic<std::size_t> count_{0};
};

// A step that holds the thread until the condition is true.
template <typename Condition>
void hold_until(Condition&& c) {
  while (!c()) {
  }
}

// Turns until the condition is true.
template <typename Condition>
void turn_until(event_loop& loop, Condition&& c) {
  while (!c()) loop.step();
}

}  // namespace

TEST_CASE("a monitor names who holds the loop while it is held", "[loop][stall]") {
  event_loop loop(options_of_run());
  collector seen;
  stall_monitor monitor(loop, seen.options());
  int line = 0;
  std::chrono::steady_clock::time_point begin;
  std::chrono::steady_clock::time_point end;
  const fermata::timer work(loop, 0ns, [&] {
    begin = std::chrono::steady_clock::now();
    static_cast<void>(fermata::due(1us)), line = __LINE__;
    hold_until([&] { return seen.of_line(line).size() >= 3; });
    end = std::chrono::steady_clock::now();
  });
  turn_until(loop, [&] {
    const auto mine = seen.of_line(line);
    return !mine.empty() && mine.back().is_over;
  });

  auto reports = seen.of_line(line);
  // Where the system then held the thread before anything else ran, that is a second stall here.
  const auto over =
      std::find_if(reports.begin(), reports.end(), [](const stall_report& r) { return r.is_over; });
  reports.erase(std::next(over), reports.end());
  REQUIRE(reports.size() >= 4);
  for (std::size_t i = 0; i + 1 < reports.size(); ++i) {
    CHECK(reports[i].kind == stall_kind::step);
    CHECK_FALSE(reports[i].is_over);
    CHECK(reports[i].held >= 5ms * (1 << i));
  }
  CHECK(fermata::to_string(reports[0].site) ==
        "loop/stall_monitor_test.cpp:" + std::to_string(line));
  CHECK(reports[0].task == "root");
  CHECK(reports[0].loop == "loop");
  const stall_report& last = reports.back();
  const auto truth = end - begin;
  CHECK(last.is_over);
  CHECK(last.held >= truth * 8 / 10);
  CHECK(monitor.counts().steps >= 1);
  CHECK(monitor.counts().reports >= reports.size());
}

TEST_CASE("many short steps are told apart from a long one", "[loop][stall]") {
  event_loop loop(options_with(fermata::policy::greedy()));
  collector seen;
  const stall_monitor monitor(loop, seen.options());
  loop.run([&] {
    hold_until([&] {
      static_cast<void>(fermata::due(20us));
      // Where the system holds the thread, that looks like a long step.
      return seen.size() >= 1 && seen.reports().back().kind == stall_kind::turn;
    });
  });
  CHECK(monitor.counts().reports >= 1);
}

TEST_CASE("a job that waits for a thread is a pool stall", "[loop][stall]") {
  event_loop loop(options_of_run());
  collector seen;
  stall_options options = seen.options(1h);
  options.pool_limit = 5ms;
  stall_monitor monitor(std::move(options));
  monitor.watch(loop, "main");
  loop.pool().set_bounds({0, 0});
  std::atomic<bool> ran = false;
  fermata::unique_function<void()> job([&] { ran = true; });
  loop.pool().submit(std::move(job));
  hold_until([&] { return seen.size() >= 1; });
  loop.pool().set_bounds({0, 1});
  hold_until([&] { return ran && seen.is_over(); });
  CHECK(seen.reports().at(0).kind == stall_kind::pool);
  CHECK(seen.reports().at(0).loop == "main");
  CHECK(seen.reports().at(0).queued_jobs == 1);
  CHECK(monitor.counts().pools == 1);
}

TEST_CASE("one monitor watches several loops, and outlives them", "[loop][stall]") {
  collector seen;
  stall_monitor monitor(seen.options());
  event_loop quiet;
  monitor.watch(quiet, "quiet");
  std::thread other([&] {
    event_loop loop(options_of_run());
    monitor.watch(loop, "other");
    loop.run([&] { hold_until([&] { return seen.size() >= 1; }); });
  });
  other.join();
  CHECK(seen.reports().at(0).loop == "other");
}

TEST_CASE("names of tasks are read while tasks come and go", "[loop][stall]") {
  event_loop loop(options_of_run());
  collector seen;
  const stall_monitor monitor(loop, seen.options(100us));
  const auto name = [](int i) { return std::string(40, static_cast<char>('a' + i % 26)); };
  int i = 0;
  const auto change_name = [&] {
    const fermata::context& now = *loop.current_context().get();
    fermata::context_ptr c(new fermata::context(loop, now.when(), now.latency(), name(i++)));
    fermata::context_ptr outer = loop.exchange_context(std::move(c));
    loop.exchange_context(std::move(outer));
  };
  while (seen.size() < 10 || i < 10'000) {  // a stall a round: the reports of one are ever rarer
    loop.run([&] {
      const std::size_t before = seen.size();
      hold_until([&] {
        change_name();
        return seen.size() > before;
      });
    });
  }
  for (const stall_report& r : seen.reports()) {
    const bool is_name = r.task == "root" || r.task == std::string(40, r.task.at(0));
    CHECK(is_name);
  }
}

TEST_CASE("a callback that throws is counted, and a line is logged", "[loop][stall]") {
  event_loop loop(options_of_run());
  std::mutex mutex;
  std::string text;
  stall_options options;
  options.limit = 2ms;
  std::atomic<bool> called = false;
  options.on_stall = [&](const stall_report&) {
    called = true;
    throw std::runtime_error("no");
  };
  options.log = [&](fermata::log_level level, std::string_view area, std::string_view message) {
    const std::lock_guard lock(mutex);
    text = std::string(to_string(level)) + " " + std::string(area) + ": " + std::string(message);
  };
  {
    stall_monitor monitor(loop, std::move(options));
    loop.run([&] { hold_until([&] { return monitor.counts().failed_callbacks > 0; }); });
  }
  CHECK(called);
  CHECK(text.find("warn stall: step stall: loop ") == 0);
}

TEST_CASE("a monitor refuses virtual time", "[loop][stall]") {
  fermata::virtual_clock clock;
  fermata::loop_options options;
  options.clock = &clock;
  event_loop loop(std::move(options));
  CHECK_THROWS_WITH(stall_monitor(loop), "cannot watch a loop for stalls: its time is virtual");
}

// ---- stacks ----

namespace {

bool names(const stall_report& r, std::string_view function) {
  for (const std::string& frame : r.stack) {
    if (frame.find(function) != std::string::npos) return true;
  }
  return false;
}

// Holds until a report has a stack with this function in it.
[[gnu::noinline]] stall_report hold_with_a_name(const collector& seen) {
  stall_report found;
  hold_until([&] {
    for (const stall_report& r : seen.reports()) {
      if (names(r, "hold_with_a_name")) found = r;
    }
    return !found.stack.empty();
  });
  asm volatile("");  // no tail call: this function stays on the stack
  return found;
}

struct too_deep {};
[[gnu::noinline]] void throw_from(int depth) {
  if (depth == 0) throw too_deep();
  throw_from(depth - 1);
  asm volatile("");
}

}  // namespace

TEST_CASE("a report has the stack of the held thread where a signal is given", "[loop][stall]") {
  event_loop loop(options_of_run());
  collector seen;
  stall_options options = seen.options();
  options.signal = stall_options::free_signal;
  const stall_monitor monitor(loop, std::move(options));
#if defined(__x86_64__) || defined(__aarch64__)
  const stall_report r = loop.run([&] { return hold_with_a_name(seen); });
  CHECK(names(r, "main"));
  CHECK(names(r, "stall_monitor_test.cpp:"));
#else
  std::cout << "skipped: stacks are not read on this processor\n";
#endif
}

TEST_CASE("stacks are safe while exceptions are thrown in a tight loop", "[loop][stall]") {
  event_loop loop(options_of_run());
  collector seen;
  stall_options options = seen.options(100us);
  options.signal = stall_options::free_signal;
  const stall_monitor monitor(loop, std::move(options));
  int caught = 0;
  const auto throw_often = [&] {
    for (int i = 0; i < 1000; ++i) {
      try {
        throw_from(10);
      } catch (const too_deep&) {
        ++caught;
      }
    }
  };
  while (caught < 100'000 || seen.size() < 20) {
    const fermata::timer work(loop, 0ns, throw_often);
    const int before = caught;
    while (caught == before) loop.step();
  }
  CHECK(caught >= 100'000);
  CHECK(seen.size() >= 20);
}

TEST_CASE("a limit that is not positive is refused", "[loop][stall]") {
  for (const auto limit :
       {&stall_options::limit, &stall_options::pool_limit, &stall_options::timer_limit}) {
    stall_options options;
    options.*limit = std::chrono::nanoseconds(0);
    CHECK_THROWS_WITH(stall_monitor(std::move(options)),
                      "the limits of a stall monitor must be positive");
  }
}

TEST_CASE("a signal that cannot carry stacks is refused", "[loop][stall]") {
  stall_options options;
  options.signal = SIGTERM;
  CHECK_THROWS_WITH(stall_monitor(std::move(options)),
                    "signal 15 cannot carry stacks: use SIGRTMIN to SIGRTMAX");
}
