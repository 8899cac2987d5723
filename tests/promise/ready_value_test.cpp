// SPDX-License-Identifier: MIT
// Promises whose value lies in the handle: they behave like all others, and cost no state.

#include "support/policy.hpp"

#include <fermata/promise/combine.hpp>
#include <fermata/promise/heartbeat.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/promise.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using fermata::event_loop;
using fermata::promise;
using fermata::ready;
using fermata::testing::options_of_run;

template <typename T>
bool lies_in_handle(const promise<T>& p) {
  return fermata::detail::access::holds_value(p);
}

promise<int> adds_after_pause(const int& value) {
  co_await fermata::pause();
  co_return value + 1;
}

promise<int> next_of(promise<int> p) {
  const int value = co_await std::move(p);
  co_return value + 1;
}

promise<int> passes_on(promise<int> p) { co_return co_await fermata::tail(std::move(p)); }

struct tree {  // a promise of an incomplete type may be a member
  std::vector<promise<tree>> below;
};

}  // namespace

TEST_CASE("ready of a scalar or of nothing needs no state, nor does a bind on it",
          "[promise][ready]") {
  const event_loop loop(options_of_run());
  CHECK(lies_in_handle(ready()));
  CHECK(lies_in_handle(ready(1)));
  CHECK(lies_in_handle(ready(nullptr)));
  CHECK_FALSE(lies_in_handle(ready(std::string("text"))));

  promise<long> sum = ready(0L);
  for (int i = 0; i < 100; ++i) {
    sum = std::move(sum).bind([](long value) { return ready(value + 1); });
  }
  CHECK(lies_in_handle(sum));
  CHECK(std::move(sum).get() == 100);
  CHECK(lies_in_handle(ready().bind([] { return ready(); })));
  CHECK(lies_in_handle(ready(1).map([](int value) { return value > 0; })));
}

TEST_CASE("a value in the handle is copied with it, and shared once somebody refers to it",
          "[promise][ready]") {
  const event_loop loop(options_of_run());
  const promise<int> first = ready(7);
  promise<int> second = first;
  CHECK(lies_in_handle(second));
  CHECK(first.is_resolved());
  CHECK_FALSE(first.is_pending());
  CHECK_FALSE(first.is_rejected());
  CHECK(first.error() == nullptr);

  const int* const seen = first.peek();
  const promise<int> third = first;
  CHECK(third.peek() == seen);
  CHECK(*seen == 7);
  CHECK(second.peek() != seen);
  promise<int> moved = std::move(second);
  CHECK(std::move(moved).get() == 7);
  CHECK_FALSE(second);  // NOLINT(bugprone-use-after-move)
  CHECK_THROWS_AS(second.is_pending(), fermata::contract_error);
  CHECK(tree().below.empty());
}

TEST_CASE("what a callback refers to lives until its promise has settled", "[promise][ready]") {
  event_loop loop(options_of_run());
  const auto by_reference = [](const int& value) { return adds_after_pause(value); };
  CHECK(loop.run([&] { return ready(1).bind(by_reference); }) == 2);
  const promise<int> shared = ready(2);
  CHECK(loop.run([&] { return shared.bind(by_reference); }) == 3);
  const auto generic = [](auto&& value) { return adds_after_pause(value); };
  CHECK(loop.run([&] { return ready(3).bind(generic); }) == 4);
  const auto by_value = [](int value) { return next_of(ready(value)); };
  CHECK(loop.run([&] { return ready(4).bind(by_value); }) == 5);
  const auto keeps = [kept = std::string("abc")](int value) {
    return ready(value + static_cast<int>(kept.size()));
  };
  CHECK(loop.run([&] { return ready(5).bind(keeps); }) == 8);
}

TEST_CASE("what a callback throws on a value in the handle rejects", "[promise][ready]") {
  event_loop loop(options_of_run());
  const auto fails = [](int) -> promise<int> { throw std::runtime_error("no"); };
  const promise<int> bound = ready(1).bind(fails);
  CHECK_THROWS_WITH(loop.run([&] { return bound; }), "no");
  const promise<int> mapped = ready(1).map([](int) -> int { throw std::runtime_error("no"); });
  CHECK_THROWS_WITH(loop.run([&] { return mapped; }), "no");
  const promise<int> empty = ready(1).bind([](int) { return promise<int>(); });
  CHECK_THROWS_AS(loop.run([&] { return empty; }), fermata::contract_error);
}

TEST_CASE("a value in the handle serves whatever waits for promises", "[promise][ready]") {
  event_loop loop(options_of_run());
  CHECK(loop.run([] { return next_of(ready(1)); }) == 2);
  CHECK(loop.run([] { return passes_on(ready(2)); }) == 2);
  CHECK(loop.run([] { return fermata::both(ready(1), ready('x')); }) == std::pair(1, 'x'));
  CHECK(loop.run([] { return fermata::pick(ready(3), fermata::never<int>()); }) == 3);
  CHECK(loop.run([] { return fermata::with_timeout(std::chrono::hours(1), ready(4)); }) == 4);
  CHECK(loop.run([] { return ready(5).catch_([](std::exception_ptr) { return ready(0); }); }) == 5);
  CHECK(loop.run([] { return ready(6).attach(std::string("kept")); }) == 6);
  CHECK(loop.run([] { return ready(7).finalize([] { return ready(); }); }) == 7);
  CHECK(fermata::async_trace(ready(8)) == fermata::async_trace(ready(std::string("8"))));

  int told = 0;
  const promise<int> p = ready(9);
  p.on_success([&](int value) { told += value; });
  p.on_failure([&](const std::exception_ptr&) { told += 100; });
  p.on_settled([&](const promise<int>& settled) { told += *settled.peek(); });
  cancel(p);
  CHECK(loop.run([&] { return p; }) == 9);
  CHECK(told == 18);
}

TEST_CASE("binds and awaits of values in the handle check the slice", "[promise][ready]") {
  using namespace std::chrono_literals;
  fermata::test_loop loop(fermata::testing::options_with(fermata::policy::budget(500us)));
  const auto binds = [] {
    promise<int> last = ready(0);
    for (int i = 0; i < 10'000; ++i) {
      last = std::move(last).bind([](int value) { return ready(value + 1); });
    }
    return last;
  };
  const auto awaits = []() -> promise<int> {
    int sum = 0;
    for (int i = 0; i < 10'000; ++i) sum += co_await ready(1);
    co_return sum;
  };
  const bool by_bind = GENERATE(true, false);
  fermata::heartbeat beat(loop.loop(), 1ms);
  CHECK(loop.run([&] { return by_bind ? binds() : awaits(); }) == 10'000);
  CHECK(loop.metrics().longest_gap.wall <= 500us + 2 * fermata::default_cost);
  CHECK(beat.beats() >= 1);
}
