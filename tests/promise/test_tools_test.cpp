// SPDX-License-Identifier: MIT
// What users test with: seeds, costs that are checked, matchers.
#include "support/policy.hpp"

#include <fermata/promise/catch_matchers.hpp>
#include <fermata/promise/combine.hpp>
#include <fermata/promise/context.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>
#include <time.h>

#include <semaphore>
#include <set>
#include <thread>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::policy;
using fermata::promise;
using fermata::test_loop;

namespace {

promise<> note(std::string& into, char who) {
  for (int i = 0; i < 5; ++i) {
    into += who;
    co_await fermata::maybe_pause();
  }
}
promise<> note_all(std::string& into) {
  promise<> a = note(into, 'a');
  promise<> b = note(into, 'b');
  promise<> c = note(into, 'c');
  co_await a;
  co_await b;
  co_await c;
}
std::string order_of(std::uint64_t seed) {
  fermata::loop_options options = options_with(policy::budget());
  options.seed = seed;
  test_loop loop(std::move(options));
  std::string order;
  loop.run([&] { return note_all(order); });
  return order;
}

std::chrono::nanoseconds cpu_time() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}
void burn(std::chrono::nanoseconds d) {
  const auto until = cpu_time() + d;
  while (cpu_time() < until) {
  }
}
promise<> burn_and_check(int n, std::chrono::nanoseconds d, std::chrono::nanoseconds declared) {
  for (int i = 0; i < n; ++i) {
    burn(d);
    co_await fermata::maybe_pause(declared);
  }
}

}  // namespace

TEST_CASE("a job is waited for once the bounds of the pool let it start", "[promise][test_loop]") {
  test_loop loop(options_of_run());
  fermata::worker_pool& pool = loop.loop().pool();
  const auto run = [&]() -> promise<int> {
    pool.set_bounds({0, 0});
    promise<int> job = fermata::with_timeout(1h, fermata::detach([] {
                                               std::this_thread::sleep_for(20ms);
                                               return 7;
                                             }));
    co_await fermata::pause();
    pool.set_bounds({0, 1});
    co_return co_await std::move(job);
  };
  CHECK(loop.run(run) == 7);
  CHECK(loop.now().time_since_epoch() < 1h);
}

TEST_CASE("a job that no thread may start any more is a deadlock", "[promise][test_loop]") {
  const bool by_lane = GENERATE(false, true);
  test_loop loop(options_of_run());
  fermata::worker_pool& pool = loop.loop().pool();
  std::binary_semaphore begun(0);
  std::binary_semaphore open(0);
  int first = 0;
  const auto run = [&]() -> promise<> {
    pool.set_bounds({0, 1});
    promise<> holds = fermata::detach([&] {
      begun.release();
      open.acquire();
    });
    begun.acquire();
    promise<int> stuck = fermata::detach([] { return 2; });
    if (by_lane) {
      fermata::lane_options none;
      none.max_threads = 0;
      pool.default_lane().set_options(none);
    } else {
      pool.set_bounds({0, 0});
    }
    open.release();
    co_await holds;
    first = 1;
    first = co_await std::move(stuck);
  };
  CHECK_THROWS_AS(loop.run(run), fermata::deadlock);
  CHECK(first == 1);
}

TEST_CASE("a seed gives one order, seeds give many", "[promise][test_loop]") {
  std::set<std::string> orders;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const std::string order = order_of(seed);
    CHECK(order == order_of(seed));
    CHECK(std::count(order.begin(), order.end(), 'a') == 5);
    orders.insert(order);
  }
  CHECK(orders.size() > 20);
}

TEST_CASE("a race that one order hides is found by a seed, which is told", "[promise][test_loop]") {
  const auto lost_update = [](test_loop& loop) {
    int balance = 0;
    const auto deposit = [](int& to) -> promise<> {
      const int seen = to;
      co_await fermata::maybe_pause();
      to = seen + 1;
    };
    loop.run([&]() -> promise<> {
      promise<> a = deposit(balance);
      promise<> b = deposit(balance);
      co_await a;
      co_await b;
    });
    if (balance != 2) throw std::runtime_error("an update is lost");
  };
  test_loop plain(options_with(policy::budget()));
  CHECK_NOTHROW(lost_update(plain));
  std::uint64_t seed = 0;
  try {
    fermata::for_each_seed(100, lost_update);
  } catch (const fermata::seed_failed& e) {
    seed = e.seed();
    CHECK(std::string(e.what()) == "seed " + std::to_string(seed) + ": an update is lost");
    CHECK(fermata::message_of(e.why()) == "an update is lost");
  }
  REQUIRE(seed > 0);
  CHECK_THROWS_AS(fermata::for_each_seed(1, lost_update, seed), fermata::seed_failed);
}

TEST_CASE("no seed makes a no_pause guard or greedy pause", "[promise][test_loop]") {
  fermata::for_each_seed(20, [](test_loop& loop) {
    std::string order;
    loop.run(
        [&] { return fermata::with_policy(policy::greedy(), [&] { return note_all(order); }); });
    if (order != "aaaaabbbbbccccc") throw std::runtime_error(order);
  });
}

TEST_CASE("a missing check is found by its CPU time", "[promise][test_loop]") {
  fermata::loop_options options = options_of_run();
  options.check_costs = 2ms;
  test_loop loop(std::move(options));
  CHECK_THROWS_WITH(
      loop.run(
          [] { return fermata::named("import", [] { return burn_and_check(1, 10ms, 1us); }); }),
      Catch::Matchers::Contains("steps took longer than declared: up to 1") &&
          Catch::Matchers::Contains("of task import until promise/test_tools_test.cpp:"));
  CHECK(loop.metrics().overruns >= 1);
}

TEST_CASE("declared costs pass", "[promise][test_loop]") {
  fermata::loop_options options = options_of_run();
  options.check_costs = 1s;  // more than a busy machine takes
  test_loop loop(std::move(options));
  loop.run([] { return burn_and_check(3, 1ms, 1ms); });
  CHECK_THAT(loop.metrics(), HasNoOverruns());
}

TEST_CASE("matchers tell gaps, looks and answers", "[promise][test_loop]") {
  test_loop loop(options_with(policy::budget(500us)));
  fermata::heartbeat client(loop.loop(), 1ms);
  loop.run([] {
    return fermata::with_policy(policy::greedy(), []() -> promise<> {
      for (int i = 0; i < 100; ++i) {
        co_await fermata::maybe_pause(50us);
      }
    });
  });
  CHECK_THAT(loop.metrics(), LongestGapBelow(6ms));
  CHECK_THAT(loop.metrics(), !LongestGapBelow(4ms));
  CHECK_THAT(loop.metrics(), !HasLooksAtLeast(1'000'000));
  loop.run([]() -> promise<> {
    for (int i = 0; i < 100; ++i) {
      co_await fermata::maybe_pause(50us);
    }
  });
  CHECK_THAT(loop.metrics(), HasLooksAtLeast(1));
  CHECK_THAT(client, AnswersWithin(6ms) && !AnswersWithin(1ms));
  CHECK(LongestGapBelow(2ms).describe() == "has a longest gap below 2000 us");
  CHECK(Catch::StringMaker<fermata::heartbeat>::convert(client).find("beats, the latest after") !=
        std::string::npos);
  CHECK(Catch::StringMaker<fermata::loop_metrics>::convert(loop.metrics())
            .find("a loop with a gap of ") == 0);
}
