// SPDX-License-Identifier: MIT
#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/loop/event_loop.hpp>

#include <catch2/catch.hpp>

#include <iostream>
#include <list>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::event_loop;
using fermata::timer;

namespace {

/// A loop on a clock of its own.
struct virtual_loop {
  explicit virtual_loop(fermata::loop_options options)
      : loop([&] {
          options.clock = &clock;
          return std::move(options);
        }()) {}
  fermata::virtual_clock clock;
  event_loop loop;
};

fermata::loop_options measured() {
  fermata::loop_options options = options_with(fermata::policy::budget());
  options.measure_steps = true;
  return options;
}

// Starts `n` timers that are due at once; each declares a step of `cost`, `checks` times.
void run_steps(event_loop& loop, int n, int checks, std::chrono::nanoseconds cost) {
  std::list<timer> timers;
  int left = n;
  for (int i = 0; i < n; ++i) {
    timers.emplace_back(loop, 1ms, [&left, checks, cost] {
      for (int c = 0; c < checks; ++c) static_cast<void>(fermata::due(cost));
      --left;
    });
  }
  while (left > 0) loop.step();
}

void step_until_due(event_loop& loop, fermata::virtual_clock& clock) {
  clock.advance(1ms);
  loop.step();
}

}  // namespace

TEST_CASE("steps and waits are measured where that is asked for", "[loop][metrics]") {
  virtual_loop v(measured());
  v.clock.advance(1ms);
  std::list<timer> timers;
  int left = 3;
  for (int i = 0; i < 3; ++i) {
    timers.emplace_back(v.loop, 0ns, [&left] {
      static_cast<void>(fermata::due(40us));
      static_cast<void>(fermata::due(60us));
      --left;
    });
  }
  while (left > 0) v.loop.step();
  const fermata::loop_metrics& m = v.loop.metrics();
  CHECK(m.step.count() == 9);  // two checks and an end each
  CHECK(m.step.longest() == 60us);
  CHECK(m.step.sum() == 300us);
  CHECK(m.queue_wait.count() == 1);  // the first was followed until it ran
  CHECK(m.queue_wait.longest() == 0ns);
  const auto sites = m.held.sorted();
  REQUIRE(sites.size() == 2);
  CHECK(sites[0].held == 180us);
  CHECK(sites[1].held == 120us);
  CHECK(sites[1].steps == 3);
}

TEST_CASE("without being asked a loop measures turns, gaps and timers alone", "[loop][metrics]") {
  virtual_loop v(options_with(fermata::policy::budget()));
  const timer t(v.loop, 1ms, [] { static_cast<void>(fermata::due(700us)); });
  step_until_due(v.loop, v.clock);
  v.clock.advance(3ms);
  v.loop.step();
  v.loop.step();
  const fermata::loop_metrics& m = v.loop.metrics();
  CHECK(m.turn.longest() >= 700us);
  CHECK(m.poll_gap.longest() >= 700us);
  CHECK(m.timer_lag.count() == 1);
  CHECK(m.step.count() == 0);
  CHECK(m.held.sorted().empty());
}

TEST_CASE("a snapshot is a copy", "[loop][metrics]") {
  virtual_loop v(options_with(fermata::policy::budget()));
  const fermata::loop_metrics before = v.loop.metrics();
  v.loop.step();
  CHECK(before.turns < v.loop.metrics().turns);
}

TEST_CASE("the top sites keep the greatest in bounded space", "[loop][metrics]") {
  fermata::top_sites sites;
  const auto a = std::source_location::current();
  const auto b = std::source_location::current();
  sites.add(a, 5ms);
  sites.add(b, 7ms);
  sites.add(a, 1ms);
  auto sorted = sites.sorted();
  REQUIRE(sorted.size() == 2);
  CHECK(sorted[0].site.line() == b.line());
  CHECK(sorted[1].held == 6ms);
  CHECK(sorted[1].steps == 2);
}

namespace {

// A site for each number: the column tells them apart.
template <int N>
std::source_location site_of() {
  return std::source_location::current();
}
template <int... N>
void add_all(fermata::top_sites& to, std::integer_sequence<int, N...>) {
  // clang-format off
  const std::source_location all[] = {
      std::source_location::current(), std::source_location::current(),
      std::source_location::current()};
  // clang-format on
  for (const auto& s : all) to.add(s, 1s);
  (to.add(site_of<N>(), 1us), ...);
}

}  // namespace

TEST_CASE("a site that is not in a full table takes the place of the least", "[loop][metrics]") {
  fermata::top_sites sites;
  add_all(sites, std::make_integer_sequence<int, 5>());
  CHECK(sites.sorted().size() == 4);  // one site five times
  const auto sorted = sites.sorted();
  CHECK(sorted.back().held == 5us);
  CHECK(sorted.back().over == 0ns);
}

TEST_CASE("the text for Prometheus is what promtool accepts", "[loop][metrics]") {
  virtual_loop v(measured());
  run_steps(v.loop, 0, 0, 0ns);
  const timer t(v.loop, 0ns, [] { static_cast<void>(fermata::due(40us)); });
  v.loop.step();
  v.loop.step();
  const std::string text = to_prometheus(v.loop.metrics(), "my_service");
  CHECK(text.find("# TYPE my_service_loop_turns_total counter\n") != std::string::npos);
  CHECK(text.find("my_service_loop_timers_fired_total 1\n") != std::string::npos);
  CHECK(text.find("my_service_loop_timer_lag_seconds_bucket{le=\"+Inf\"} 1\n") !=
        std::string::npos);
  CHECK(text.find("my_service_loop_held_seconds_total{site=\"loop/metrics_test.cpp:") !=
        std::string::npos);
  CHECK_THROWS_WITH(to_prometheus(v.loop.metrics(), "9 lives"),
                    "'9 lives' is no prefix of metric names");
  if (std::system("command -v promtool > /dev/null 2>&1") != 0) {
    std::cout << "promtool is not installed: the syntax was not checked\n";
    return;
  }
  const fermata::test::temp_folder folder;
  folder.write("metrics", text);
  CHECK(folder.output("promtool check metrics < metrics 2>&1 || true") == "");
}
