// SPDX-License-Identifier: MIT
// Calls that many share, and rates that many keep.
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/combine.hpp>
#include <fermata/promise/memo.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>
#include <fermata/promise/throttle.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::memo;
using fermata::promise;
using fermata::test_loop;
using fermata::throttle;

namespace {

promise<std::string> told(promise<int> p) {
  std::string how;
  try {
    const int v = co_await p;
    how = std::to_string(v);
  } catch (const fermata::cancelled&) {
    how = "cancelled";
  } catch (const fermata::error& e) {
    how = e.what();
  }
  co_return how;
}

// Ten times the key after 5 ms; an odd call of a negative one fails.
struct slow_calls {
  int calls = 0;
  int cancelled = 0;
  promise<int> run(int key) {
    const int n = ++calls;
    try {
      co_await fermata::sleep_for(5ms);
    } catch (const fermata::cancelled&) {
      ++cancelled;
      throw;
    }
    if (key < 0 && n % 2 == 1) throw fermata::error("call " + std::to_string(n));
    co_return 10 * key;
  }
};

std::int64_t ms(fermata::time_point t) {
  return std::chrono::floor<std::chrono::milliseconds>(t.time_since_epoch()).count();
}

}  // namespace

// ---- memo ----

TEST_CASE("memo: one call for all who ask, now and later", "[promise][memo]") {
  test_loop loop(options_of_run());
  slow_calls f;
  memo<int, int> m([&](const int& key) { return f.run(key); });
  const auto run = [&]() -> promise<std::string> {
    auto a = told(m(1));
    auto b = told(m(1));
    auto c = told(m(2));
    std::string ends = co_await a;
    ends += " " + co_await b;
    ends += " " + co_await c;
    CHECK(m(1).is_resolved());
    co_return ends;
  };
  CHECK(loop.run(run) == "10 10 20");
  CHECK(f.calls == 2);
  CHECK(m.size() == 2);
}

TEST_CASE("memo: failures are told to all and not kept", "[promise][memo]") {
  test_loop loop(options_of_run());
  slow_calls f;
  memo<int, int> m([&](const int& key) { return f.run(key); });
  const auto run = [&]() -> promise<std::string> {
    auto a = told(m(-1));
    auto b = told(m(-1));
    std::string ends = co_await a;
    ends += ", " + co_await b;
    CHECK(m.size() == 0);
    auto again = told(m(-1));
    ends += ", " + co_await again;
    co_return ends;
  };
  CHECK(loop.run(run) == "call 1, call 1, -10");
}

TEST_CASE("memo: failures are kept where that is wanted", "[promise][memo]") {
  test_loop loop(options_of_run());
  slow_calls f;
  fermata::memo_options options;
  options.keep_failures = true;
  memo<int, int> m([&](const int& key) { return f.run(key); }, options);
  const auto run = [&]() -> promise<std::string> {
    auto a = told(m(-1));
    std::string ends = co_await a;
    auto again = told(m(-1));
    ends += ", " + co_await again;
    co_return ends;
  };
  CHECK(loop.run(run) == "call 1, call 1");
  CHECK(f.calls == 1);
}

TEST_CASE("memo: a cancel of one leaves the others alone, that of the last ends the call",
          "[promise][memo]") {
  test_loop loop(options_of_run());
  slow_calls f;
  memo<int, int> m([&](const int& key) { return f.run(key); });
  const auto run = [&]() -> promise<std::string> {
    promise<int> first = m(1);
    auto a = told(first);
    auto b = told(m(1));
    fermata::cancel(first);
    std::string ends = co_await a;
    CHECK(f.cancelled == 0);
    fermata::cancel(b);
    auto c = told(m(1));  // while the first call is ending
    ends += ", " + co_await b;
    ends += ", " + co_await c;
    co_return ends;
  };
  CHECK(loop.run(run) == "cancelled, cancelled, 10");
  CHECK(f.calls == 2);
  CHECK(f.cancelled == 1);
}

TEST_CASE("memo: keeps so many, and forgets what was asked for longest ago", "[promise][memo]") {
  test_loop loop(options_of_run());
  std::vector<int> calls;
  fermata::memo_options options;
  options.max_entries = 2;
  memo<int, int> m(
      [&](const int& key) {
        calls.push_back(key);
        return fermata::ready(key);
      },
      options);
  const auto run = [&]() -> promise<> {
    for (const int key : {1, 2, 1, 3, 1, 2}) {
      promise<int> p = m(key);
      co_await p;
    }
    CHECK(m.size() == 2);
    CHECK(m.forget(1));
    CHECK_FALSE(m.forget(1));
    promise<int> anew = m(1);
    co_await anew;
    m.clear();
    CHECK(m.size() == 0);
  };
  loop.run(run);
  CHECK(calls == std::vector<int>{1, 2, 3, 2, 1});
}

TEST_CASE("memo: a call that is forgotten ends for those who wait, also without the memo",
          "[promise][memo]") {
  test_loop loop(options_of_run());
  slow_calls f;
  const auto run = [&]() -> promise<std::string> {
    promise<std::string> a;
    {
      memo<int, int> m([&f](const int& key) { return f.run(key); });
      a = told(m(4));
      m.clear();
    }
    co_return co_await a;
  };
  CHECK(loop.run(run) == "40");
}

TEST_CASE("memo: what throws at once, what asks for itself, what has no key", "[promise][memo]") {
  test_loop loop(options_of_run());
  memo<int, int> throws([](const int&) -> promise<int> { throw fermata::error("at once"); });
  CHECK(loop.run([&] { return told(throws(1)); }) == "at once");
  CHECK(throws.size() == 0);
  std::unique_ptr<memo<int, int>> self;
  self = std::make_unique<memo<int, int>>([&](const int& key) { return (*self)(key); });
  CHECK_THROWS_WITH(loop.run([&] { return (*self)(1); }),
                    "a memo asks for the value that it is to give");
  int calls = 0;
  memo<void, std::string> one([&] {
    ++calls;
    return fermata::sleep_for(1ms).map([] { return std::string("made"); });
  });
  CHECK(loop.run([&] { return one(); }) == "made");
  CHECK(loop.run([&] { return one(); }) == "made");
  CHECK(calls == 1);
  CHECK(one.forget());
}

// ---- throttle ----

namespace {

fermata::throttle_options ten_ms(std::size_t burst) {
  fermata::throttle_options o;
  o.count = 100;
  o.burst = burst;
  return o;
}
promise<> notes(promise<> turn, std::vector<std::int64_t>& at) {
  co_await turn;
  at.push_back(ms(fermata::event_loop::current().now()));
}

}  // namespace

TEST_CASE("throttle: turns come at the rate, after the burst", "[promise][throttle]") {
  test_loop loop(options_of_run());
  throttle<std::string> limit(ten_ms(3));
  std::vector<std::int64_t> at;
  const auto run = [&] {
    std::vector<promise<>> all;
    for (int i = 0; i < 6; ++i) all.push_back(notes(limit.acquire("a"), at));
    CHECK(limit.waiting() == 3);
    CHECK_FALSE(limit.try_acquire("a"));
    CHECK(limit.try_acquire("b"));  // another key has a rate of its own
    return fermata::join(std::move(all));
  };
  loop.run(run);
  CHECK(at == std::vector<std::int64_t>{0, 0, 0, 10, 20, 30});
  CHECK(limit.waiting() == 0);
  CHECK(limit.keys() == 2);
}

TEST_CASE("throttle: who is cancelled leaves no hole", "[promise][throttle]") {
  test_loop loop(options_of_run());
  throttle<int> limit(ten_ms(1));
  std::vector<std::int64_t> at;
  const auto run = [&]() -> promise<> {
    auto first = notes(limit.acquire(1), at);
    auto second = notes(limit.acquire(1), at);
    auto third = notes(limit.acquire(1), at);
    fermata::cancel(second);
    CHECK(limit.waiting() == 1);
    co_await third;
    CHECK(first.is_resolved());
    auto fourth = limit.acquire(1);
    fermata::cancel(fourth);  // the only one: the timer stops
    auto end = waits_for(fourth);
    const std::string how = co_await end;
    CHECK(how == "cancelled");
  };
  loop.run(run);
  CHECK(at == std::vector<std::int64_t>{0, 10});
}

TEST_CASE("throttle: bounded in who waits and in keys", "[promise][throttle]") {
  test_loop loop(options_of_run());
  fermata::throttle_options options = ten_ms(1);
  options.max_waiting = 1;
  options.max_keys = 2;
  throttle<int> limit(options);
  const auto run = [&]() -> promise<> {
    co_await limit.acquire(1);
    auto waits = limit.acquire(1);
    CHECK(fermata::message_of(limit.acquire(1).error()) == "cannot wait: too many wait already");
    co_await limit.acquire(2);
    CHECK(fermata::message_of(limit.acquire(3).error()) == "cannot wait: too many keys are in use");
    CHECK_FALSE(limit.try_acquire(3));
    co_await waits;
    co_await fermata::sleep_for(10ms);
    CHECK(limit.try_acquire(3));  // in place of one whose rate is not used
    CHECK(limit.keys() == 2);
  };
  loop.run(run);
  CHECK_THROWS_WITH(throttle<int>(ten_ms(0)), "a throttle of nothing would let nobody through");
}

TEST_CASE("throttle: its end rejects who waits", "[promise][throttle]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    promise<std::string> end;
    {
      throttle<int> limit(ten_ms(1));
      CHECK(limit.try_acquire(1));
      end = waits_for(limit.acquire(1));
    }
    return end;
  };
  CHECK(loop.run(run) == "a promise was given up: its resolver is gone");
}
