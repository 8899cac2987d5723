// SPDX-License-Identifier: MIT
// Durations, times and counts at the ends of what there is, and objects that were moved from.
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/buffered.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/directory_walk.hpp>
#include <fermata/promise/heartbeat.hpp>
#include <fermata/promise/interval.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/process.hpp>
#include <fermata/promise/retry.hpp>
#include <fermata/promise/signals.hpp>
#include <fermata/promise/test_loop.hpp>
#include <fermata/promise/throttle.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <csignal>
#include <limits>
#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::promise;
using fermata::test_loop;
using fermata::time_point;

namespace {

constexpr auto for_ever = std::chrono::nanoseconds::max();
constexpr auto most = std::numeric_limits<std::size_t>::max();

}  // namespace

TEST_CASE("extremes: a deadline before all times is one that has passed", "[promise][sleep]") {
  test_loop loop(options_of_run());
  const auto late = [] { return fermata::with_deadline(time_point::min(), fermata::never()); };
  CHECK_THROWS_WITH(loop.run(late), "timed out after 0 ms");
  const auto run = []() -> promise<> {
    co_await fermata::sleep_until(time_point::min());
    co_await fermata::sleep_for(std::chrono::nanoseconds::min());
  };
  loop.run(run);
  CHECK(loop.now().time_since_epoch() < 1ms);
}

TEST_CASE("extremes: an interval of the longest period has one tick", "[promise][sleep]") {
  for (const auto missed :
       {fermata::missed_tick::burst, fermata::missed_tick::delay, fermata::missed_tick::skip}) {
    test_loop loop(options_of_run());
    const auto run = [&]() -> promise<> {
      co_await fermata::sleep_for(1ms);
      fermata::interval every(for_ever, missed);
      auto first = every.tick();
      co_await first;
      CHECK(every.next() == time_point::max());
      every.reset();
      CHECK(every.next() == time_point::max());
    };
    loop.run(run);
  }
}

TEST_CASE("extremes: a retry with the longest delay waits", "[promise][retry]") {
  test_loop loop(options_of_run());
  int attempts = 0;
  fermata::retry_policy policy;
  policy.first_delay = policy.longest_delay = for_ever;
  policy.jitter = 0;
  const auto fails = [&]() -> promise<> {
    ++attempts;
    throw fermata::error("no luck");
  };
  const auto run = [&] { return fermata::with_timeout(1h, retry(std::move(policy), fails)); };
  CHECK_THROWS_AS(loop.run(run), fermata::timed_out);
  CHECK(attempts == 1);
}

TEST_CASE("extremes: a throttle of the largest numbers lets through what it says",
          "[promise][throttle]") {
  test_loop loop(options_of_run());
  fermata::throttle_options options;
  options.count = most;
  options.burst = most;
  const auto all_at_once = [&]() -> promise<> {
    fermata::throttle<int> limit(options);
    for (int i = 0; i < 1000; ++i) CHECK(limit.try_acquire(1));
    options.per = for_ever;
    options.count = 1;
    options.burst = 1;
    fermata::throttle<int> seldom(options);
    co_await fermata::sleep_for(1ms);
    CHECK(seldom.try_acquire(1));
    CHECK_FALSE(seldom.try_acquire(1));
  };
  loop.run(all_at_once);
  options = fermata::throttle_options();
  options.count = 3;
  const auto three = [&]() -> promise<> {
    fermata::throttle<int> limit(options);
    for (int i = 0; i < 4; ++i) {
      auto turn = limit.acquire(1);
      co_await turn;
    }
  };
  const time_point before = loop.now();
  loop.run(three);
  CHECK(loop.now() - before >= 1s);  // not a nanosecond early
}

TEST_CASE("extremes: a heartbeat has an interval", "[promise][availability]") {
  test_loop loop(options_of_run());
  CHECK_THROWS_WITH(fermata::heartbeat(loop.loop(), 0ns),
                    "the interval of a heartbeat must be positive");
  const fermata::heartbeat one(loop.loop(), for_ever);
  loop.run([] { return fermata::sleep_for(1h); });
  CHECK(one.beats() == 0);
}

TEST_CASE("extremes: threads that may stay for ever do so asleep", "[promise][detach]") {
  fermata::event_loop loop(options_of_run());
  loop.pool().set_keep_alive(for_ever);
  for (int i = 0; i < 3; ++i)
    CHECK(loop.run([] { return fermata::detach([] { return 1; }); }) == 1);
  CHECK(loop.pool().counts().threads >= 1);
}

TEST_CASE("extremes: a slice is as long as it says", "[promise][availability]") {
  const auto looks_of = [](std::chrono::nanoseconds slice) {
    fermata::event_loop loop(options_with(fermata::policy::budget(slice)));
    const auto work = []() -> promise<> {
      for (int i = 0; i < 100; ++i) co_await fermata::maybe_pause(20us);
    };
    const auto two = [&]() -> promise<> {
      promise<> other = fermata::pause().as_promise();
      promise<> one = work();
      co_await one;
      co_await other;
    };
    loop.run(two);
    return loop.metrics().looks;
  };
  CHECK(looks_of(for_ever) < 10);
  CHECK(looks_of(0ns) > 50);
  CHECK(looks_of(-1ns) > 50);
}

TEST_CASE("what was moved from says so where it is used", "[promise][core]") {
  test_loop loop(options_of_run());
  auto [a, b] = fermata::memory_stream_pair();
  fermata::buffered_reader reader(*a);
  fermata::buffered_writer writer(*b);
  const fermata::buffered_reader last_reader = std::move(reader);
  const fermata::buffered_writer last_writer = std::move(writer);
  std::array<std::byte, 4> place;
  const std::string of_reader = "a reader that was moved from is used";
  CHECK_THROWS_WITH(reader.read_line(9), of_reader);
  CHECK_THROWS_WITH(reader.read_until("x", 9), of_reader);
  CHECK_THROWS_WITH(reader.read_all(9), of_reader);
  CHECK_THROWS_WITH(reader.read_exactly(1), of_reader);
  CHECK_THROWS_WITH(reader.read_exactly(place), of_reader);
  CHECK_THROWS_WITH(reader.read_some(place), of_reader);
  CHECK_THROWS_WITH(reader.lines(9), of_reader);
  CHECK_THROWS_WITH(reader.peek(), of_reader);
  CHECK_THROWS_WITH(reader.consume(0), of_reader);
  CHECK((reader.buffered().empty() && reader.given_bytes() == 0));
  const std::string of_writer = "a writer that was moved from is used";
  CHECK_THROWS_WITH(writer.write("x"), of_writer);
  CHECK_THROWS_WITH(writer.write_line("x"), of_writer);
  CHECK_THROWS_WITH(writer.flush(), of_writer);
  CHECK_THROWS_WITH(writer.finish(), of_writer);
  CHECK(writer.buffered_bytes() == 0);
  fermata::signal_source signals({SIGUSR2});
  const fermata::signal_source last_signals = std::move(signals);
  CHECK_THROWS_WITH(signals.next(), "a signal source that was moved from is used");
  fermata::directory_walk walk("/");
  const fermata::directory_walk last_walk = std::move(walk);
  CHECK_THROWS_WITH(walk.next(), "a walk that was moved from is used");
}

TEST_CASE("a process that was moved from says so", "[promise][process]") {
  fermata::event_loop loop(options_of_run());
  const auto run = []() -> promise<> {
    fermata::command c(std::vector<std::string>{"true"});
    auto started = fermata::spawn(std::move(c));
    fermata::process first = co_await std::move(started);
    fermata::process second = std::move(first);
    const std::string text = "a process that was moved from is used";
    CHECK_THROWS_WITH(first.wait(), text);
    CHECK_THROWS_WITH(first.stop(), text);
    CHECK_THROWS_WITH(first.error_tail(), text);
    first.kill();
    CHECK(first.pid() == -1);
    auto end = second.wait();
    const auto status = co_await end;
    CHECK(status.is_success());
  };
  loop.run(run);
}
