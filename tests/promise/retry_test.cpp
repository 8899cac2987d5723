// SPDX-License-Identifier: MIT
// Time between attempts and between ticks, on virtual time.
#include "support/policy.hpp"

#include <fermata/promise/error_context.hpp>
#include <fermata/promise/interval.hpp>
#include <fermata/promise/retry.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::interval;
using fermata::missed_tick;
using fermata::promise;
using fermata::retry;
using fermata::retry_policy;
using fermata::test_loop;

namespace {

std::int64_t ms(fermata::time_point t) {
  return std::chrono::floor<std::chrono::milliseconds>(t.time_since_epoch()).count();
}
retry_policy exact() {
  retry_policy p;
  p.jitter = 0;
  return p;
}

// Fails until its n-th call, and notes when it was called.
struct flaky {
  std::size_t succeeds_at;
  std::vector<std::int64_t> at;
  promise<std::string> operator()(std::size_t attempt) {
    at.push_back(ms(fermata::event_loop::current().now()));
    if (attempt < succeeds_at) throw fermata::error("no luck");
    return fermata::ready("attempt " + std::to_string(attempt));
  }
};

}  // namespace

// ---- retry ----

TEST_CASE("retry: tries again after growing delays", "[promise][retry]") {
  test_loop loop(options_of_run());
  flaky f{4, {}};
  retry_policy policy = exact();
  policy.attempts = 5;
  policy.longest_delay = 150ms;
  const auto run = [&] { return retry(std::move(policy), [&f](std::size_t n) { return f(n); }); };
  CHECK(loop.run(run) == "attempt 4");
  CHECK(f.at == std::vector<std::int64_t>{0, 100, 250, 400});
}

TEST_CASE("retry: the last error says how often it was tried", "[promise][retry]") {
  test_loop loop(options_of_run());
  flaky f{9, {}};
  const auto run = [&] { return retry(exact(), [&f](std::size_t n) { return f(n); }); };
  CHECK_THROWS_WITH(loop.run(run), "attempt 3 of 3: no luck");
  flaky once{9, {}};
  const auto one = [&] {
    retry_policy policy = exact();
    policy.attempts = 1;
    return retry(std::move(policy), [&once](std::size_t n) { return once(n); });
  };
  CHECK_THROWS_WITH(loop.run(one), "no luck");
}

TEST_CASE("retry: what is not worth it is not tried again", "[promise][retry]") {
  test_loop loop(options_of_run());
  flaky f{9, {}};
  const auto run = [&] {
    retry_policy policy = exact();
    policy.when = [](const std::exception_ptr& e) { return fermata::message_of(e) != "no luck"; };
    return retry(std::move(policy), [&f](std::size_t n) { return f(n); });
  };
  CHECK_THROWS_WITH(loop.run(run), "no luck");
  CHECK(f.at.size() == 1);
}

TEST_CASE("retry: a cancel ends an attempt or a delay for good", "[promise][retry]") {
  test_loop loop(options_of_run());
  int calls = 0;
  const auto hangs = [&] {
    ++calls;
    return fermata::never();
  };
  const auto fails = [&]() -> promise<> {
    ++calls;
    throw fermata::error("no luck");
  };
  const auto cancelled = [](promise<> p) -> promise<bool> {
    co_await fermata::sleep_for(50ms);
    fermata::cancel(p);
    bool was = false;
    try {
      co_await p;
    } catch (const fermata::cancelled&) {
      was = true;
    }
    co_return was;
  };
  CHECK(loop.run([&] { return cancelled(retry(exact(), hangs)); }));
  CHECK(loop.run([&] { return cancelled(retry(exact(), fails)); }));
  CHECK(calls == 2);
  CHECK(ms(loop.now()) == 100);
}

TEST_CASE("retry: a time limit ends an attempt, and forbids a delay beyond it",
          "[promise][retry]") {
  test_loop loop(options_of_run());
  const auto limited = [] {
    retry_policy policy = exact();
    policy.time_limit = 150ms;
    return policy;
  };
  const auto hangs = [&] { return retry(limited(), [] { return fermata::never(); }); };
  CHECK_THROWS_WITH(loop.run(hangs), "timed out after 150 ms");
  flaky f{9, {}};
  const auto fails = [&] { return retry(limited(), [&f](std::size_t n) { return f(n); }); };
  const auto before = ms(loop.now());
  CHECK_THROWS_WITH(loop.run(fails), "attempt 2 of 3: no luck");
  CHECK(ms(loop.now()) - before == 100);
}

TEST_CASE("retry: jitter comes from its seed and only shortens", "[promise][retry]") {
  const auto times = [](std::uint64_t seed) {
    test_loop loop(options_of_run());
    flaky f{9, {}};
    retry_policy policy;
    policy.attempts = 6;
    policy.seed = seed;
    try {
      loop.run([&] { return retry(std::move(policy), [&f](std::size_t n) { return f(n); }); });
    } catch (const fermata::error&) {
    }
    return f.at;
  };
  const auto first = times(7);
  REQUIRE(first.size() == 6);
  CHECK(first == times(7));
  CHECK(first != times(8));
  std::int64_t delay = 100;
  for (std::size_t i = 1; i < first.size(); ++i, delay *= 2) {
    CHECK(first[i] - first[i - 1] <= delay);
    CHECK(first[i] - first[i - 1] >= delay / 2 - 1);
  }
}

TEST_CASE("retry: a policy without meaning is told", "[promise][retry]") {
  const test_loop loop(options_of_run());
  const auto start = [](auto change) {
    retry_policy policy;
    change(policy);
    static_cast<void>(retry(std::move(policy), [] { return fermata::ready(); }));
  };
  CHECK_THROWS_WITH(start([](retry_policy& p) { p.attempts = 0; }),
                    "a retry needs at least one attempt");
  CHECK_THROWS_WITH(start([](retry_policy& p) { p.factor = 0.5; }),
                    "the delays of a retry must not shrink");
  CHECK_THROWS_WITH(start([](retry_policy& p) { p.jitter = 2; }),
                    "the jitter of a retry is a share from 0 to 1");
}

// ---- interval ----

namespace {

// The times at which four ticks come where the work after the first takes 25 ms of 10.
std::vector<std::int64_t> ticks(missed_tick missed) {
  test_loop loop(options_of_run());
  std::vector<std::int64_t> at;
  const auto run = [&]() -> promise<> {
    interval every(10ms, missed);
    for (int i = 0; i < 5; ++i) {
      auto tick = every.tick();
      const fermata::time_point planned = co_await tick;
      const fermata::time_point now = fermata::event_loop::current().now();
      CHECK(now >= planned);  // never early
      at.push_back(ms(now));
      if (i == 0) co_await fermata::sleep_for(25ms);
    }
  };
  loop.run(run);
  return at;
}

}  // namespace

TEST_CASE("interval: what becomes of missed ticks", "[promise][sleep]") {
  CHECK(ticks(missed_tick::burst) == std::vector<std::int64_t>{0, 25, 25, 30, 40});
  CHECK(ticks(missed_tick::delay) == std::vector<std::int64_t>{0, 25, 35, 45, 55});
  CHECK(ticks(missed_tick::skip) == std::vector<std::int64_t>{0, 25, 30, 40, 50});
}

TEST_CASE("interval: a cancelled tick is not used up, and one is awaited at a time",
          "[promise][sleep]") {
  test_loop loop(options_of_run());
  const auto run = []() -> promise<> {
    interval every(10ms);
    auto first = every.tick();
    co_await first;
    const fermata::time_point planned = every.next();
    auto second = every.tick();
    auto third = every.tick();
    CHECK(fermata::message_of(third.error()) == "a tick of this interval is waited for already");
    fermata::cancel(second);
    try {
      co_await second;
    } catch (const fermata::cancelled&) {
    }
    auto again = every.tick();
    const fermata::time_point came = co_await again;
    CHECK(came == planned);
    every.reset();
    CHECK(every.next() == fermata::event_loop::current().now() + 10ms);
  };
  loop.run(run);
  CHECK_THROWS_WITH(interval(0ms), "the period of an interval must be positive");
}

TEST_CASE("sleep: never early on the clock of the machine", "[promise][sleep]") {
  fermata::event_loop loop(options_of_run());
  const auto run = []() -> promise<int> {
    int early = 0;
    for (int i = 0; i < 20; ++i) {
      const fermata::time_point until = fermata::event_loop::current().after(50us * i);
      co_await fermata::sleep_until(until);
      if (std::chrono::steady_clock::now() < until) ++early;
    }
    co_return early;
  };
  CHECK(loop.run(run) == 0);
}

TEST_CASE("with_deadline: the same as a timeout at a time", "[promise][sleep]") {
  test_loop loop(options_of_run());
  const auto late = [&] {
    return fermata::with_deadline(loop.loop().after(7ms), fermata::never<int>());
  };
  CHECK_THROWS_WITH(loop.run(late), "timed out after 7 ms");
  const auto passed = [&] {
    return fermata::with_deadline(loop.loop().now() - 1ms, fermata::never<int>());
  };
  CHECK_THROWS_WITH(loop.run(passed), "timed out after 0 ms");
  const auto there = [&] { return fermata::with_deadline(loop.loop().now(), fermata::ready(3)); };
  CHECK(loop.run(there) == 3);
  const auto soon = [&] { return fermata::with_timeout(200us, fermata::never()); };
  CHECK_THROWS_WITH(loop.run(soon), "timed out after 200 us");
}

// ---- errors ----

namespace {

std::vector<std::exception_ptr> failures(int n) {
  std::vector<std::exception_ptr> list;
  for (int i = 0; i < n; ++i) {
    list.push_back(std::make_exception_ptr(fermata::error("e" + std::to_string(i))));
  }
  return list;
}

}  // namespace

TEST_CASE("with_context: each hop puts its text in front", "[promise][errors]") {
  test_loop loop(options_of_run());
  const auto fails = [] {
    promise<int> p =
        fermata::sleep_for(1ms).map([]() -> int { throw fermata::uv_error(-2, "cannot open x"); });
    return fermata::with_context("cannot clone", fermata::with_context("pack", std::move(p)));
  };
  CHECK_THROWS_WITH(loop.run(fails),
                    "cannot clone: pack: cannot open x: no such file or directory (uv ENOENT)");
  const auto code = [&] {
    return fails().catch_([](std::exception_ptr e) {
      CHECK(fermata::message_of(fermata::root_cause(e)) ==
            "cannot open x: no such file or directory (uv ENOENT)");
      try {
        std::rethrow_exception(e);
      } catch (const fermata::error& known) {
        return fermata::ready(known.code().value());
      }
    });
  };
  CHECK(loop.run(code) == -2);
  CHECK(loop.run([] { return fermata::with_context("x", fermata::ready(4)); }) == 4);
  const std::string trace = loop.run([] {
    const promise<> p = fermata::with_context("x", fermata::never());
    return fermata::ready(fermata::async_trace(p));
  });
  CHECK_THAT(trace, Catch::Contains("retry_test.cpp:"));
  CHECK_THAT(trace, !Catch::Contains("error_context.hpp"));
  const auto is_cancelled = [] {
    return fermata::with_context("x", fermata::rejected(fermata::cancelled()));
  };
  CHECK_THROWS_AS(loop.run(is_cancelled), fermata::cancelled);
}

TEST_CASE("multiple_errors: keeps all and tells the first ten", "[promise][errors]") {
  const fermata::multiple_errors two(failures(2));
  CHECK(std::string(two.what()) == "2 operations failed: e0; e1");
  const fermata::multiple_errors many(failures(12));
  CHECK(many.errors().size() == 12);
  CHECK(std::string(many.what()) ==
        "12 operations failed: e0; e1; e2; e3; e4; e5; e6; e7; e8; e9; and 2 more");
}

TEST_CASE("cancelled: may say why", "[promise][errors]") {
  CHECK(std::string(fermata::cancelled().what()) == "cancelled");
  CHECK(std::string(fermata::cancelled("the client is gone").what()) ==
        "cancelled: the client is gone");
}
