// SPDX-License-Identifier: MIT
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/combine.hpp>
#include <fermata/promise/semaphore.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::promise;
using fermata::semaphore;
using fermata::test_loop;

static_assert(fermata::keeps_thread<semaphore::units>);

TEST_CASE("semaphore bounds what runs at once", "[promise][semaphore]") {
  test_loop loop(options_of_run());
  semaphore s(3);
  int now = 0;
  int most = 0;
  const auto job = [&]() -> promise<> {
    most = std::max(most, ++now);
    co_await fermata::sleep_for(1ms);
    --now;
  };
  const auto run = [&] {
    std::vector<promise<>> all;
    for (int i = 0; i < 20; ++i) all.push_back(fermata::with_units(s, 1, job));
    return fermata::join(std::move(all));
  };
  loop.run(run);
  CHECK(most == 3);
  CHECK(s.available() == 3);
}

TEST_CASE("semaphore: a large request is not overtaken", "[promise][semaphore]") {
  test_loop loop(options_of_run());
  semaphore s(4);
  semaphore::units held = s.try_acquire(2);
  promise<semaphore::units> large = s.acquire(4);
  promise<semaphore::units> small = s.acquire(1);
  CHECK(s.available() == 2);
  CHECK(small.is_pending());
  CHECK_FALSE(s.try_acquire());
  CHECK(s.waiting() == 2);
  held.return_all();
  CHECK(large.is_resolved());
  CHECK(small.is_pending());
  large = {};
  CHECK(small.is_resolved());
  CHECK(s.available() == 3);
}

TEST_CASE("semaphore: a large request that leaves lets those behind it go on",
          "[promise][semaphore]") {
  test_loop loop(options_of_run());
  semaphore s(4);
  semaphore::units held = s.try_acquire(2);
  promise<semaphore::units> large = s.acquire(4);
  promise<semaphore::units> small = s.acquire(1);
  fermata::cancel(large);
  CHECK(small.is_resolved());
  CHECK(s.available() == 1);
}

TEST_CASE("semaphore: units are split, merged and returned in part", "[promise][semaphore]") {
  test_loop loop(options_of_run());
  semaphore s(10);
  semaphore::units a = s.try_acquire(8);
  semaphore::units b = a.split(3);
  CHECK(a.count() == 5);
  CHECK(b.count() == 3);
  a.return_some(2);
  CHECK(s.available() == 4);
  a.merge(std::move(b));
  CHECK(a.count() == 6);
  CHECK_FALSE(b);
  CHECK_THROWS_WITH(a.return_some(7), "cannot take 7 units from a holder of 6");
  CHECK_THROWS_WITH(static_cast<void>(a.split(7)), "cannot take 7 units from a holder of 6");
  semaphore other(1);
  CHECK_THROWS_WITH(a.merge(other.try_acquire()), "cannot merge units of two semaphores");
  CHECK(other.available() == 1);
  CHECK(a.split(0).count() == 0);
  a.return_all();
  a.return_all();
  CHECK(s.available() == 10);
}

TEST_CASE("semaphore: forgotten units stay taken until they are released", "[promise][semaphore]") {
  test_loop loop(options_of_run());
  semaphore s(3);
  { CHECK(s.try_acquire(2).forget() == 2); }
  CHECK(s.available() == 1);
  CHECK_THROWS_WITH(s.release(3), "cannot release 3 units: 2 are taken");
  promise<semaphore::units> waiting = s.acquire(3);
  s.release(2);
  CHECK(waiting.is_resolved());
}

TEST_CASE("semaphore: a request beyond all units is an error, until there are more",
          "[promise][semaphore]") {
  test_loop loop(options_of_run());
  semaphore s(2);
  CHECK_THROWS_WITH(s.acquire(3), "cannot acquire 3 units: a semaphore of 2");
  s.add(1);
  promise<semaphore::units> now = s.acquire(3);
  CHECK(now.is_resolved());
  const auto most = std::numeric_limits<std::size_t>::max();
  CHECK_THROWS_WITH(s.add(most), "cannot add " + std::to_string(most) + " units: a semaphore of 3");
  semaphore none(0);
  promise<semaphore::units> nothing = none.acquire(0);
  CHECK(nothing.is_resolved());
}

TEST_CASE("semaphore: what waits when the loop ends is rejected, units go back later",
          "[promise][semaphore]") {
  semaphore s(1);
  semaphore::units held = s.try_acquire();
  promise<std::string> how;
  {
    fermata::event_loop loop(options_of_run());
    const auto waits = [&]() -> promise<> { const semaphore::units u = co_await s.acquire(); };
    how = waits_for(waits());
  }
  CHECK(*how.peek() == "cannot go on: the event loop has ended");
  held = {};
  CHECK(s.available() == 1);
}
