// SPDX-License-Identifier: MIT
// Events, barriers and gates.
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/barrier.hpp>
#include <fermata/promise/combine.hpp>
#include <fermata/promise/event.hpp>
#include <fermata/promise/gate.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::promise;
using fermata::test_loop;

namespace {

promise<std::string> awaits(fermata::event& e) {
  std::string how = "set";
  try {
    co_await e.wait();
  } catch (const fermata::cancelled&) {
    how = "cancelled";
  } catch (const std::exception& error) {
    how = error.what();
  }
  co_return how;
}

}  // namespace

TEST_CASE("event stays set until it is reset", "[promise][event]") {
  test_loop loop(options_of_run());
  fermata::event e;
  promise<std::string> a = awaits(e);
  promise<std::string> b = awaits(e);
  promise<std::string> c = awaits(e);
  fermata::cancel(b);
  CHECK(e.waiting() == 2);
  e.set();
  CHECK(loop.run([&] { return a; }) == "set");
  CHECK(loop.run([&] { return b; }) == "cancelled");
  CHECK(loop.run([&] { return c; }) == "set");
  promise<> late = e.wait();
  CHECK(late.is_resolved());
  e.reset();
  promise<> next = e.wait();
  CHECK(next.is_pending());
  CHECK_FALSE(e.is_set());
}

TEST_CASE("event: who waits when the loop or the event ends is rejected", "[promise][event]") {
  promise<std::string> a;
  {
    fermata::event e;
    fermata::event_loop loop(options_of_run());
    a = awaits(e);
  }
  CHECK(*a.peek() == "cannot go on: the event loop has ended");
  test_loop loop(options_of_run());
  {
    fermata::event e;
    a = awaits(e);
  }
  CHECK(loop.run([&] { return a; }) == "what is waited for was destroyed");
}

TEST_CASE("auto_event lets one go on for each set, and keeps one", "[promise][event]") {
  test_loop loop(options_of_run());
  fermata::auto_event e;
  promise<> a = e.wait();
  { promise<> dropped = e.wait(); }
  promise<> b = e.wait();
  e.set();
  CHECK(a.is_resolved());
  CHECK(b.is_pending());
  e.set();
  CHECK(b.is_resolved());
  e.set();
  e.set();
  CHECK(e.is_set());
  promise<> c = e.wait();
  CHECK(c.is_resolved());
  promise<> d = e.wait();
  CHECK(d.is_pending());
  fermata::cancel(d);
  e.set();
  CHECK(e.is_set());
  e.reset();
  CHECK_FALSE(e.is_set());
}

TEST_CASE("barrier lets all go on when the last has arrived, again and again",
          "[promise][barrier]") {
  test_loop loop(options_of_run());
  fermata::barrier b(3);
  std::vector<std::string> rounds(4);
  int leaders = 0;
  const auto task = [&](char name) -> promise<> {
    for (auto& round : rounds) {
      round += name;
      const bool last = co_await b.arrive_and_wait();
      CHECK(round.size() == 3);
      if (last) ++leaders;
    }
  };
  const auto run = [&] {
    promise<> x = task('x');
    promise<> y = task('y');
    promise<> z = task('z');
    return fermata::join(x, y, z);
  };
  loop.run(run);
  CHECK(leaders == 4);
  CHECK(b.arrived() == 0);
}

TEST_CASE("barrier: who is cancelled has not arrived", "[promise][barrier]") {
  test_loop loop(options_of_run());
  fermata::barrier b(2);
  promise<bool> a = b.arrive_and_wait();
  fermata::cancel(a);
  CHECK(b.arrived() == 0);
  promise<bool> c = b.arrive_and_wait();
  CHECK(c.is_pending());
  promise<bool> d = b.arrive_and_wait();
  CHECK(*c.peek() == false);
  CHECK(*d.peek() == true);
  CHECK_THROWS_WITH(fermata::barrier(0), "a barrier of no task at all");
}

TEST_CASE("gate: a close lets nobody in and waits for those inside", "[promise][gate]") {
  test_loop loop(options_of_run());
  fermata::gate g;
  fermata::gate::holder a = g.enter();
  fermata::gate::holder b = g.enter();
  promise<> closed = g.close();
  promise<> again = g.close();
  CHECK(closed.is_pending());
  CHECK_THROWS_WITH(g.enter(), "cannot enter: the gate is closed");
  CHECK_FALSE(g.try_enter());
  CHECK(g.count() == 2);
  a.leave();
  CHECK_THROWS_WITH(a.leave(), "a holder that is in no gate leaves");
  fermata::cancel(again);
  CHECK(closed.is_pending());
  b = {};
  CHECK(closed.is_resolved());
  CHECK(again.is_rejected());
  promise<> empty = g.close();
  CHECK(empty.is_resolved());
}

TEST_CASE("gate: with_gate is inside until its promise has settled", "[promise][gate]") {
  test_loop loop(options_of_run());
  fermata::gate g;
  const auto run = [&] {
    promise<> work = fermata::with_gate(g, [] { return fermata::sleep_for(3ms); });
    promise<> end = g.close();
    return fermata::join(work, end);
  };
  loop.run(run);
  CHECK(loop.now().time_since_epoch() >= 3ms);
  const auto late = [&] { return fermata::with_gate(g, [] { return fermata::ready(); }); };
  CHECK_THROWS_AS(loop.run(late), fermata::gate_closed);
}
