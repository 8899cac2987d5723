// SPDX-License-Identifier: MIT
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/combine.hpp>
#include <fermata/promise/condition.hpp>
#include <fermata/promise/heartbeat.hpp>
#include <fermata/promise/mutex.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::event_loop;
using fermata::mutex;
using fermata::promise;
using fermata::rw_mutex;
using fermata::test_loop;

static_assert(fermata::keeps_thread<mutex::guard>);
static_assert(fermata::keeps_thread<rw_mutex::guard>);
static_assert(fermata::keeps_thread<rw_mutex::shared_guard>);
static_assert(!fermata::keeps_thread<int>);

namespace {

// Holds the lock over a pause, and notes what it sees.
promise<> holds(mutex& m, std::string& order, char name) {
  const mutex::guard g = co_await m.lock();
  order += name;
  co_await fermata::pause();
  order += name;
}
promise<std::string> locks(mutex& m) {
  std::string how = "locked";
  try {
    const mutex::guard g = co_await m.lock();
  } catch (const fermata::cancelled&) {
    how = "cancelled";
  } catch (const std::exception& e) {
    how = e.what();
  }
  co_return how;
}
promise<> reads(rw_mutex& m, std::string& order, char name) {
  const rw_mutex::shared_guard g = co_await m.lock_shared();
  order += name;
  co_await fermata::pause();
  order += name;
}
promise<> writes(rw_mutex& m, std::string& order, char name) {
  const rw_mutex::guard g = co_await m.lock();
  order += name;
  co_await fermata::pause();
  order += name;
}

}  // namespace

TEST_CASE("mutex lets one in at a time, first come, first served", "[promise][mutex]") {
  test_loop loop(options_of_run());
  mutex m;
  std::string order;
  const auto run = [&] {
    promise<> a = holds(m, order, 'a');
    promise<> b = holds(m, order, 'b');
    promise<> c = holds(m, order, 'c');
    return fermata::join(a, b, c);
  };
  loop.run(run);
  CHECK(order == "aabbcc");
  CHECK_FALSE(m.is_locked());
}

TEST_CASE("mutex is handed over: nobody gets in between", "[promise][mutex]") {
  test_loop loop(options_of_run());
  mutex m;
  mutex::guard first = m.try_lock();
  REQUIRE(first);
  CHECK_FALSE(m.try_lock());
  promise<std::string> second = locks(m);
  CHECK(m.waiting() == 1);
  first.unlock();
  CHECK(m.is_locked());  // by the second, which has not run yet
  CHECK_FALSE(m.try_lock());
  CHECK(loop.run([&] { return second; }) == "locked");
  CHECK_FALSE(m.is_locked());
}

TEST_CASE("mutex: a wait that is cancelled leaves no hole", "[promise][mutex]") {
  test_loop loop(options_of_run());
  mutex m;
  mutex::guard first = m.try_lock();
  promise<std::string> second = locks(m);
  promise<mutex::guard> third = m.lock();
  promise<std::string> fourth = locks(m);
  fermata::cancel(second);
  fermata::cancel(third);
  CHECK(third.is_rejected());
  CHECK(m.waiting() == 1);
  first.unlock();
  CHECK(loop.run([&] { return fourth; }) == "locked");
  CHECK(loop.run([&] { return second; }) == "cancelled");
  CHECK_FALSE(m.is_locked());
}

TEST_CASE("mutex: a cancel that comes after the lock does not take it away", "[promise][mutex]") {
  test_loop loop(options_of_run());
  mutex m;
  mutex::guard first = m.try_lock();
  promise<std::string> second = locks(m);
  first.unlock();
  fermata::cancel(second);
  CHECK(loop.run([&] { return second; }) == "locked");
  CHECK_FALSE(m.is_locked());
}

TEST_CASE("mutex: a promise of a lock that is dropped gives it back", "[promise][mutex]") {
  test_loop loop(options_of_run());
  mutex m;
  mutex::guard first = m.try_lock();
  { promise<mutex::guard> dropped = m.lock(); }
  promise<mutex::guard> kept = m.lock();
  first.unlock();
  CHECK(kept.is_resolved());
  kept = {};
  CHECK_FALSE(m.is_locked());
}

TEST_CASE("mutex: a guard is moved, and released once", "[promise][mutex]") {
  test_loop loop(options_of_run());
  mutex m;
  mutex other;
  mutex::guard a = m.try_lock();
  mutex::guard b = std::move(a);
  CHECK_FALSE(a);
  CHECK(b.locked() == &m);
  b.unlock();
  CHECK_FALSE(m.is_locked());
  CHECK_THROWS_WITH(b.unlock(), "a guard that holds no lock is unlocked");
  CHECK_THROWS_AS(a.unlock(), fermata::contract_error);
  b = m.try_lock();
  b = other.try_lock();
  CHECK_FALSE(m.is_locked());
  CHECK(other.is_locked());
}

TEST_CASE("mutex: with_lock holds it until the callable's promise has settled",
          "[promise][mutex]") {
  test_loop loop(options_of_run());
  mutex m;
  const auto fails = [&]() -> promise<int> {
    CHECK(m.is_locked());
    co_await fermata::sleep_for(1ms);
    CHECK(m.is_locked());
    throw fermata::error("own");
  };
  CHECK_THROWS_WITH(loop.run([&] { return fermata::with_lock(m, fails); }), "own");
  CHECK_FALSE(m.is_locked());
  CHECK(loop.run([&] { return fermata::with_lock(m, [] { return fermata::ready(3); }); }) == 3);
}

TEST_CASE("mutex: who waits when the loop ends is rejected, a guard may go later",
          "[promise][mutex]") {
  promise<std::string> waiting;
  mutex m;
  mutex::guard held;
  {
    event_loop loop(options_of_run());
    held = m.try_lock();
    waiting = locks(m);
  }
  CHECK(*waiting.peek() == "cannot go on: the event loop has ended");
  held.unlock();
  CHECK_FALSE(m.is_locked());
}

TEST_CASE("mutex: a loop that locks looks once an item, with no pause while it holds",
          "[promise][mutex]") {
  test_loop loop(options_with(fermata::policy::always()));
  mutex m;
  bool is_over = false;
  int seen_locked = 0;
  const auto watch = [&]() -> promise<> {
    while (!is_over) {
      if (m.is_locked()) ++seen_locked;
      co_await fermata::pause();
    }
  };
  const auto run = [&]() -> promise<> {
    promise<> watcher = watch();
    for (int i = 0; i < 100; ++i) {
      const mutex::guard g = co_await m.lock();
    }
    is_over = true;
    co_await watcher;
  };
  loop.run(run);
  CHECK(loop.metrics().looks >= 100);
  CHECK(seen_locked == 0);
}

TEST_CASE("mutex: what locks without end gives way", "[promise][mutex]") {
  test_loop loop(options_with(fermata::policy::budget(500us)));
  fermata::heartbeat beat(loop.loop(), 1ms);
  mutex m;
  loop.run([&]() -> promise<> {
    for (int i = 0; i < 20'000; ++i) {
      const mutex::guard g = co_await m.lock();
    }
  });
  CHECK(beat.beats() >= 15);
  CHECK(loop.metrics().longest_gap.wall <= 500us + 2 * fermata::default_cost);
}

TEST_CASE("mutex: a wait under a no_pause guard is an error and leaves nothing behind",
          "[promise][mutex]") {
  test_loop loop(options_of_run());
  mutex m;
  mutex::guard held = m.try_lock();
  const auto run = [&]() -> promise<> {
    const fermata::no_pause guard;
    const mutex::guard g = co_await m.lock();
  };
  CHECK_THROWS_WITH(loop.run(run), "a task suspends under a no_pause guard");
  CHECK(m.waiting() == 0);
}

TEST_CASE("rw_mutex: readers share, writers are alone, and nobody overtakes",
          "[promise][rw_mutex]") {
  test_loop loop(options_of_run());
  rw_mutex m;
  std::string order;
  const auto run = [&] {
    promise<> a = reads(m, order, 'a');
    promise<> b = reads(m, order, 'b');
    promise<> c = writes(m, order, 'C');
    promise<> d = reads(m, order, 'd');
    promise<> e = reads(m, order, 'e');
    promise<> f = writes(m, order, 'F');
    return fermata::join(a, b, c, d, e, f);
  };
  loop.run(run);
  CHECK(order == "ababCCdedeFF");
  CHECK(m.readers() == 0);
}

TEST_CASE("rw_mutex: a writer that is cancelled lets the readers behind it in",
          "[promise][rw_mutex]") {
  test_loop loop(options_of_run());
  rw_mutex m;
  rw_mutex::shared_guard held = m.try_lock_shared();
  promise<rw_mutex::guard> writer = m.lock();
  promise<rw_mutex::shared_guard> first = m.lock_shared();
  promise<rw_mutex::shared_guard> second = m.lock_shared();
  CHECK_FALSE(m.try_lock_shared());
  CHECK(first.is_pending());
  fermata::cancel(writer);
  CHECK(first.is_resolved());
  CHECK(second.is_resolved());
  CHECK(m.readers() == 3);
}

TEST_CASE("rw_mutex: a writer goes on to read and lets other readers in", "[promise][rw_mutex]") {
  test_loop loop(options_of_run());
  rw_mutex m;
  rw_mutex::guard alone = m.try_lock();
  CHECK_FALSE(m.try_lock());
  promise<rw_mutex::shared_guard> reader = m.lock_shared();
  promise<rw_mutex::guard> writer = m.lock();
  rw_mutex::shared_guard shared = rw_mutex::downgrade(std::move(alone));
  CHECK(reader.is_resolved());
  CHECK(writer.is_pending());
  CHECK(m.readers() == 2);
  CHECK_THROWS_WITH(rw_mutex::downgrade({}), "a guard that holds no lock is downgraded");
  shared.unlock();
  reader = {};
  CHECK(writer.is_resolved());
}

TEST_CASE("condition: a notification wakes one, or all, in order", "[promise][condition]") {
  test_loop loop(options_of_run());
  fermata::condition c;
  promise<> a = c.wait();
  promise<> b = c.wait();
  promise<> d = c.wait();
  CHECK(c.notify_one());
  CHECK(a.is_resolved());
  CHECK(b.is_pending());
  c.notify_all();
  CHECK(b.is_resolved());
  CHECK(d.is_resolved());
  CHECK_FALSE(c.notify_one());
  promise<> e = c.wait();
  promise<> f = c.wait();
  c.fail(std::make_exception_ptr(fermata::error("given up")));
  CHECK_THROWS_WITH(std::move(e).get(), "given up");
  CHECK_THROWS_WITH(std::move(f).get(), "given up");
}

TEST_CASE("condition: a notification is not lost on one that was cancelled or dropped",
          "[promise][condition]") {
  test_loop loop(options_of_run());
  fermata::condition c;
  promise<> a = c.wait();
  { promise<> dropped = c.wait(); }
  promise<> b = c.wait();
  fermata::cancel(a);
  CHECK(c.notify_one());
  CHECK(b.is_resolved());
  CHECK(c.waiting() == 0);
}

TEST_CASE("condition: wait_until asks after each notification", "[promise][condition]") {
  test_loop loop(options_of_run());
  fermata::condition c;
  int value = 0;
  const auto is_three = [&] { return value == 3; };
  promise<> three = c.wait_until(is_three);
  const auto run = [&]() -> promise<> {
    while (three.is_pending()) {
      ++value;
      c.notify_all();
      co_await fermata::pause();
    }
  };
  loop.run(run);
  CHECK(value == 3);
}

TEST_CASE("condition: a wait with a lock has it again when it goes on", "[promise][condition]") {
  test_loop loop(options_of_run());
  fermata::condition c;
  mutex m;
  const auto waits = [&]() -> promise<> {
    mutex::guard g = co_await m.lock();
    co_await c.wait(g);
    CHECK(g.locked() == &m);
  };
  promise<> p = waits();
  CHECK_FALSE(m.is_locked());
  mutex::guard mine = m.try_lock();
  c.notify_one();
  CHECK(m.waiting() == 0);
  const auto run = [&]() -> promise<> {
    co_await fermata::pause();
    CHECK(m.waiting() == 1);
    CHECK(p.is_pending());
    mine.unlock();
    co_await p;
  };
  loop.run(run);
  CHECK_FALSE(m.is_locked());
  const auto misuse = [&]() -> promise<> {
    mutex::guard none;
    co_await c.wait(none);
  };
  CHECK_THROWS_WITH(loop.run(misuse), "a guard that holds no lock is unlocked");
}

TEST_CASE("condition: a cancelled wait has the lock again, and passes a notification on",
          "[promise][condition]") {
  const bool is_notified = GENERATE(false, true);
  test_loop loop(options_of_run());
  fermata::condition c;
  mutex m;
  bool had_lock = false;
  const auto waits = [&]() -> promise<> {
    mutex::guard g = co_await m.lock();
    try {
      co_await c.wait(g);
    } catch (const fermata::cancelled&) {
      had_lock = g.locked() == &m;
      throw;
    }
  };
  promise<> p = waits();
  promise<> next = c.wait();
  mutex::guard mine = m.try_lock();
  const auto run = [&]() -> promise<std::string> {
    promise<std::string> how = waits_for(p);
    if (is_notified) c.notify_one();
    co_await fermata::pause();
    fermata::cancel(how);
    co_await fermata::pause();
    CHECK(how.is_pending());
    fermata::cancel(how);  // once more, while it waits for the lock
    co_await fermata::pause();
    mine.unlock();
    co_return co_await how;
  };
  CHECK(loop.run(run) == "cancelled");
  CHECK(had_lock);
  CHECK(next.is_resolved() == is_notified);
  CHECK_FALSE(m.is_locked());
}
