// SPDX-License-Identifier: MIT
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/cancel.hpp>
#include <fermata/promise/combine.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::promise;
using fermata::ready;
using fermata::test_loop;

namespace {

promise<> spin(int& steps) {
  for (;;) {
    ++steps;
    co_await fermata::maybe_pause(10us);
  }
}
promise<> fails_after(std::chrono::nanoseconds d, const char* text) {
  co_await fermata::sleep_for(d);
  throw fermata::error(text);
}
promise<> tidies_up_for(std::chrono::nanoseconds d) {
  try {
    co_await fermata::sleep_for(1h);
  } catch (const fermata::cancelled&) {
  }
  promise<> tidied = fermata::no_cancel(fermata::sleep_for(d));
  co_await tidied;
  throw fermata::cancelled("tidied up");
}
promise<std::string> end_of_late(std::chrono::nanoseconds cancelled_after) {
  std::string how;
  promise<> p = fermata::with_timeout(5ms, tidies_up_for(10ms));
  co_await fermata::sleep_for(cancelled_after);
  fermata::cancel(p);
  try {
    co_await p;
  } catch (const fermata::cancelled& c) {
    how = c.what();
  } catch (const fermata::timed_out& e) {
    how = e.what();
  }
  co_return how;
}

}  // namespace

TEST_CASE("cancel reaches a sleep through binds and awaits", "[promise][cancel]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    promise<std::string> outer = waits_for(fermata::sleep_for(1h).map([] {}));
    fermata::cancel(outer);
    return outer;
  };
  CHECK(loop.run(run) == "cancelled");
  CHECK(loop.now().time_since_epoch() < 1h);
}

TEST_CASE("all cancels reject with one object", "[promise][cancel]") {
  test_loop loop(options_of_run());
  const promise<> waits = fermata::never();
  const promise<> sleeps = fermata::sleep_for(1h);
  fermata::cancel(waits);
  fermata::cancel(sleeps);
  REQUIRE(fermata::is_cancelled(waits.error()));
  CHECK(waits.error() == sleeps.error());
}

TEST_CASE("cancel of one of two waiters leaves the operation alone", "[promise][cancel]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    promise<> shared = fermata::sleep_for(5ms);
    promise<std::string> a = waits_for(shared);
    promise<std::string> b = waits_for(shared);
    fermata::cancel(a);
    return fermata::both(a, b);
  };
  const auto [a, b] = loop.run(run);
  CHECK(a == "cancelled");
  CHECK(b == "went on");
}

TEST_CASE("cancel ends a loop of pure computation at its pause check", "[promise][cancel]") {
  test_loop loop(options_of_run());
  int steps = 0;
  const auto run = [&]() -> promise<std::string> {
    promise<> hog;
    promise<> stop = fermata::sleep_for(1ms).map([&] { fermata::cancel(hog); });
    hog = spin(steps);  // goes on for ever where nobody waits
    promise<std::string> end = waits_for(hog);
    co_return co_await end;
  };
  CHECK(loop.run(run) == "cancelled");
  CHECK(steps >= 10);
}

TEST_CASE("cancel waits for an operation that needs time to end", "[promise][cancel]") {
  test_loop loop(options_of_run());
  int asked = 0;
  const auto run = [&]() -> promise<std::string> {
    auto [p, r] = fermata::make_task<>([&] { ++asked; });
    promise<std::string> outer = waits_for(p);
    fermata::cancel(outer);
    CHECK(asked == 1);
    CHECK(p.is_pending());
    r.resolve();  // its result came first
    co_return co_await outer;
  };
  CHECK(loop.run(run) == "went on");
}

TEST_CASE("resolve after a cancel is no mistake", "[promise][cancel]") {
  test_loop loop(options_of_run());
  auto [p, r] = fermata::make_promise<int>();
  fermata::cancel(p);
  CHECK(p.is_rejected());
  CHECK_FALSE(r.resolve(1));
}

TEST_CASE("pick cancels the losers and settles after they have ended", "[promise][combine]") {
  test_loop loop(options_of_run());
  bool loser_ended = false;
  const auto slow = [&]() -> promise<int> {
    try {
      co_await fermata::sleep_for(1h);
    } catch (const fermata::cancelled&) {
    }
    co_await fermata::sleep_for(3ms);  // cleaning up
    loser_ended = true;
    throw fermata::cancelled();
  };
  const auto run = [&] {
    auto fast = fermata::sleep_for(1ms).map([] { return 1; });
    return fermata::pick(slow(), fast);
  };
  CHECK(loop.run(run) == 1);
  CHECK(loser_ended);
}

TEST_CASE("join and all wait for every one and keep every error", "[promise][combine]") {
  test_loop loop(options_of_run());
  const auto two = [] {
    return fermata::join(fails_after(1ms, "first"), fermata::sleep_for(5ms),
                         fails_after(2ms, "second"));
  };
  CHECK_THROWS_WITH(loop.run(two), "2 operations failed: first; second");
  CHECK(loop.now().time_since_epoch() >= 5ms);
  const auto values = [] {
    std::vector<promise<int>> list;
    list.push_back(fermata::sleep_for(2ms).map([] { return 1; }));
    list.push_back(ready(2));
    return fermata::all(std::move(list));
  };
  CHECK(loop.run(values) == std::vector<int>{1, 2});
  CHECK_THROWS_AS(loop.run([] { return fermata::pick(std::vector<promise<int>>()); }),
                  fermata::contract_error);
}

TEST_CASE("cancel of both goes to both", "[promise][combine]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    auto p = fermata::both(fermata::sleep_for(1h), fermata::never<int>());
    fermata::cancel(p);
    return p;
  };
  CHECK_THROWS_AS(loop.run(run), fermata::cancelled);
}

TEST_CASE("with_timeout cancels what is late, and only that", "[promise][sleep]") {
  test_loop loop(options_of_run());
  CHECK_THROWS_WITH(loop.run([] { return fermata::with_timeout(5ms, fermata::never<int>()); }),
                    "timed out after 5 ms");
  const auto quick = [] {
    return fermata::with_timeout(5ms, fermata::sleep_for(1ms).map([] { return 4; }));
  };
  CHECK(loop.run(quick) == 4);
  const auto failing = [] { return fermata::with_timeout(5ms, fails_after(1ms, "own")); };
  CHECK_THROWS_WITH(loop.run(failing), "own");
}

TEST_CASE("with_timeout: what came first, a cancel or the limit, is told", "[promise][sleep]") {
  test_loop loop(options_of_run());
  CHECK(loop.run([] { return end_of_late(1ms); }) == "cancelled: tidied up");
  CHECK(loop.run([] { return end_of_late(7ms); }) == "timed out after 5 ms");
}

TEST_CASE("scope returns after all its children have ended", "[promise][scope]") {
  test_loop loop(options_of_run());
  std::string order;
  const auto run = [&] {
    return fermata::scope::run([&](fermata::scope& s) -> promise<int> {
      s.fork([&] { return fermata::sleep_for(2ms).map([&] { order += "child "; }); });
      s.fork_daemon([&] { return fermata::never(); });
      s.on_release([&] {
        order += "release";
        return ready();
      });
      order += "body ";
      co_return 6;
    });
  };
  CHECK(loop.run(run) == 6);
  CHECK(order == "body child release");
}

TEST_CASE("scope: one failure cancels the siblings and the body", "[promise][scope]") {
  test_loop loop(options_of_run());
  int steps = 0;
  const auto run = [&] {
    return fermata::scope::run([&](fermata::scope& s) -> promise<int> {
      s.fork([] { return fails_after(1ms, "child failed"); });
      s.fork([&] { return spin(steps); });
      co_await fermata::never();
      co_return 0;
    });
  };
  CHECK_THROWS_WITH(loop.run(run), "child failed");
}

TEST_CASE("scope: a cancel from outside ends the children first", "[promise][scope]") {
  test_loop loop(options_of_run());
  bool ended = false;
  const auto child = [&]() -> promise<> {
    try {
      co_await fermata::never();
    } catch (const fermata::cancelled&) {
    }
    co_await fermata::sleep_for(2ms);
    ended = true;
  };
  const auto run = [&]() -> promise<bool> {
    auto p = fermata::scope::run([&](fermata::scope& s) -> promise<> {
      s.fork(child);
      co_await fermata::never();
    });
    auto end = waits_for(p);
    fermata::cancel(p);
    const std::string how = co_await end;
    co_return how == "cancelled" && ended;
  };
  CHECK(loop.run(run));
}

TEST_CASE("scope: fork_promise keeps its failure to itself", "[promise][scope]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    return fermata::scope::run([](fermata::scope& s) -> promise<std::string> {
      auto p = s.fork_promise([] { return fails_after(1ms, "mine"); });
      auto told = waits_for(p);
      co_return co_await told;
    });
  };
  CHECK(loop.run(run) == "mine");
}

TEST_CASE("pick of one that has settled cancels those behind it", "[promise][combine]") {
  test_loop loop(options_of_run());
  const auto run = [] { return fermata::pick(ready(1), fermata::never<int>()); };
  CHECK(loop.run(run) == 1);
}

TEST_CASE("cancel calls the hook of a task once, and survives what it throws",
          "[promise][cancel]") {
  int reported = 0;
  fermata::loop_options options = options_of_run();
  options.on_unobserved = [&](std::exception_ptr) { ++reported; };
  test_loop loop(std::move(options));
  int asked = 0;
  const auto run = [&] {
    auto [p, r] = fermata::make_task<>([&] {
      ++asked;
      throw fermata::error("a hook must not throw");
    });
    fermata::cancel(p);
    fermata::cancel(p);
    CHECK(p.is_pending());
    r.resolve();
  };
  loop.run(run);
  CHECK(asked == 1);
  CHECK(reported == 1);
}

TEST_CASE("a computation hears at its pause check that the loop ends", "[promise][cancel]") {
  int steps = 0;
  promise<std::string> end;
  {
    fermata::event_loop loop(options_of_run());
    const auto run = [&] {
      promise<> first = fermata::sleep_for(1ms);
      end = waits_for(spin(steps));  // goes on while nobody waits
      return first;
    };
    loop.run(run);
  }
  REQUIRE(end.is_resolved());
  CHECK(*end.peek() == "cannot go on: the event loop has ended");
}

TEST_CASE("sleep of the longest duration does not end", "[promise][sleep]") {
  test_loop loop(options_of_run());
  const auto run = []() -> promise<bool> {
    promise<> longest = fermata::sleep_for(std::chrono::nanoseconds::max());
    promise<> limited = fermata::with_timeout(std::chrono::nanoseconds::max(), longest);
    co_await fermata::sleep_for(1h);
    co_return longest.is_pending() && limited.is_pending();
  };
  CHECK(loop.run(run));
}
