// SPDX-License-Identifier: MIT
// What becomes of the members that a combinator does not wait for, and many promises at once.
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/combine.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <numeric>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::promise;
using fermata::ready;
using fermata::test_loop;

TEST_CASE("nchoose_split: each round gives what has come", "[promise][combine]") {
  test_loop loop(options_of_run());
  const auto run = []() -> promise<std::string> {
    std::vector<promise<int>> rest;
    for (int i = 1; i <= 4; ++i) {
      rest.push_back(fermata::sleep_for(std::chrono::milliseconds(i)).map([i] { return i; }));
    }
    std::string order;
    while (!rest.empty()) {
      auto round = fermata::nchoose_split(std::move(rest));
      auto split = co_await std::move(round);
      for (const int v : split.values) order += std::to_string(v);
      order += " ";
      rest = std::move(split.rest);
    }
    co_return order;
  };
  CHECK(loop.run(run) == "1 2 3 4 ");
}

TEST_CASE("join_fast settles after those that it cancelled have ended", "[promise][combine]") {
  test_loop loop(options_of_run());
  bool ended = false;
  const auto slow = [&]() -> promise<> {
    try {
      co_await fermata::sleep_for(1h);
    } catch (const fermata::cancelled&) {
    }
    co_await fermata::sleep_for(3ms);
    ended = true;
    throw fermata::error("second");
  };
  const auto run = [&] {
    promise<> s = slow();
    promise<> fails = fermata::sleep_for(1ms).map([] { throw fermata::error("first"); });
    return fermata::join_fast(s, fails);
  };
  CHECK_THROWS_WITH(loop.run(run), "2 operations failed: second; first");
  CHECK(ended);
}

TEST_CASE("choose leaves the failures of the others to who holds them", "[promise][combine]") {
  int unseen = 0;
  fermata::loop_options options = options_of_run();
  options.on_unobserved = [&](std::exception_ptr) { ++unseen; };
  test_loop loop(std::move(options));
  const auto fails = [](std::chrono::nanoseconds d) {
    return fermata::sleep_for(d).map([]() -> int { throw fermata::error("late"); });
  };
  const auto run = [&]() -> promise<> {
    auto chosen = fermata::choose(ready(1), fails(1ms));
    co_await chosen;
    co_await fermata::sleep_for(5ms);
    CHECK(unseen == 1);
    auto picked = fermata::pick(ready(1), fails(1ms));
    co_await picked;
    co_await fermata::sleep_for(5ms);
  };
  loop.run(run);
  CHECK(unseen == 1);  // pick has seen its loser's
}

// ---- many ----

TEST_CASE("combinators: a cancel through 100,000 nested ones needs no stack",
          "[promise][combine]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    promise<> p = fermata::never();
    for (int i = 0; i < 100'000; ++i) {
      p = i % 2 == 0 ? fermata::join(p, fermata::never()) : fermata::pick(fermata::never(), p);
    }
    fermata::cancel(p);
    return waits_for(p);
  };
  CHECK(loop.run(run) == "cancelled");
}
namespace {

constexpr int many = 20'000;

std::vector<promise<int>> sleepers(std::chrono::nanoseconds each) {
  std::vector<promise<int>> list;
  for (int i = 0; i < many; ++i) list.push_back(fermata::sleep_for(each).map([i] { return i; }));
  return list;
}
std::vector<promise<int>> pending(std::vector<fermata::resolver<int>>& ends) {
  std::vector<promise<int>> list;
  for (int i = 0; i < many; ++i) {
    auto made = fermata::make_promise<int>();
    list.push_back(std::move(made.future));
    ends.push_back(std::move(made.settle));
  }
  return list;
}

}  // namespace

TEST_CASE("combinators: many at once keep their order", "[promise][combine]") {
  test_loop loop(options_of_run());
  const auto values = loop.run([] { return fermata::all(sleepers(1ms)); });
  REQUIRE(values.size() == many);
  std::vector<int> expected(many);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(values == expected);
  const auto first = loop.run([] { return fermata::pick(sleepers(1ms)); });
  CHECK(first == 0);
  const auto some = loop.run([] { return fermata::nchoose(sleepers(1ms)); });
  CHECK(!some.empty());
}

TEST_CASE("combinators: many are started, collected and let go in pieces", "[promise][combine]") {
  fermata::event_loop loop(options_with(fermata::policy::always()));
  const auto run = [&]() -> promise<std::uint64_t> {
    std::vector<promise<int>> list;
    for (int i = 0; i < many; ++i) list.push_back(ready(i));
    const std::uint64_t before = loop.metrics().looks;
    auto every = fermata::all(std::move(list));
    co_await every;
    co_return loop.metrics().looks - before;
  };
  CHECK(loop.run(run) >= 3 * (many / fermata::detail::gather_slice));
}

TEST_CASE("combinators: many are cancelled in pieces", "[promise][combine]") {
  fermata::event_loop loop(options_with(fermata::policy::always()));
  std::vector<fermata::resolver<int>> ends;
  const auto run = [&]() -> promise<std::uint64_t> {
    auto list = pending(ends);
    const promise<int> last = list.back();
    promise<std::vector<int>> every = fermata::all(std::move(list));
    for (int i = 0; i < 100; ++i) co_await fermata::pause();  // all have started
    const std::uint64_t before = loop.metrics().looks;
    fermata::cancel(every);
    CHECK(last.is_pending());
    auto told = waits_for(every.map([](const std::vector<int>&) {}));
    const std::string end = co_await told;
    CHECK(end == "cancelled");
    co_return loop.metrics().looks - before;
  };
  CHECK(loop.run(run) >= many / fermata::detail::gather_slice);
}

TEST_CASE("combinators: a cancel while many start reaches all of them", "[promise][combine]") {
  test_loop loop(options_of_run());
  std::vector<fermata::resolver<int>> ends;
  const auto run = [&] {
    promise<std::vector<int>> every = fermata::all(pending(ends));
    fermata::cancel(every);
    return waits_for(every.map([](const std::vector<int>&) {}));
  };
  CHECK(loop.run(run) == "cancelled");
  for (auto& r : ends) CHECK_FALSE(r.resolve(1));
}
