// SPDX-License-Identifier: MIT
// One value at a time: mvar, watch and broadcast.
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/broadcast.hpp>
#include <fermata/promise/combine.hpp>
#include <fermata/promise/mvar.hpp>
#include <fermata/promise/test_loop.hpp>
#include <fermata/promise/watch.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <string>

using namespace fermata::testing;
using fermata::promise;
using fermata::test_loop;

namespace {

promise<> puts(fermata::mvar<int>& v, int n) {
  for (int i = 0; i < n; ++i) {
    co_await v.put(i);
  }
}
promise<int> takes(fermata::mvar<int>& v, int n) {
  int in_order = 0;
  for (int i = 0; i < n; ++i) {
    const int got = co_await v.take();
    if (got == i) ++in_order;
  }
  co_return in_order;
}
promise<std::string> receives(fermata::broadcast_reader<int> r) {
  std::string got;
  for (;;) {
    try {
      const std::optional<int> item = co_await r.receive();
      if (!item) break;
      got += std::to_string(*item) + " ";
    } catch (const fermata::lagged& e) {
      got += "missed " + std::to_string(e.missed()) + " ";
    } catch (const fermata::loop_closed&) {
      break;
    }
  }
  co_return got + "end";
}
promise<std::string> watches(fermata::watch_reader<int> r) {
  std::string got;
  for (;;) {
    const bool is_new = co_await r.changed();
    if (!is_new) break;
    got += std::to_string(r.get()) + " ";
  }
  co_return got + "end";
}

}  // namespace

TEST_CASE("mvar hands values over in order, one look a value", "[promise][mvar]") {
  test_loop loop(options_with(fermata::policy::always()));
  fermata::mvar<int> v;
  const auto run = [&] {
    promise<> put = puts(v, 300);
    promise<int> taken = takes(v, 300);
    return fermata::both(put, taken);
  };
  CHECK(loop.run(run).second == 300);
  CHECK(loop.metrics().looks >= 300);
  CHECK_FALSE(v.is_full());
}

TEST_CASE("mvar: who puts waits while it is full, who takes while it is empty", "[promise][mvar]") {
  test_loop loop(options_of_run());
  fermata::mvar<std::unique_ptr<int>> v(std::make_unique<int>(1));
  auto spare = std::make_unique<int>(9);
  CHECK_FALSE(v.try_put(std::move(spare)));
  CHECK(spare != nullptr);
  promise<> second = v.put(std::make_unique<int>(2));
  promise<> third = v.put(std::make_unique<int>(3));
  CHECK(second.is_pending());
  fermata::cancel(second);
  CHECK(**v.try_take() == 1);
  CHECK(third.is_resolved());
  CHECK(**v.try_take() == 3);
  CHECK_FALSE(v.try_take());
  promise<std::unique_ptr<int>> first = v.take();
  { promise<std::unique_ptr<int>> dropped = v.take(); }
  promise<std::unique_ptr<int>> next = v.take();
  fermata::cancel(first);
  CHECK(v.try_put(std::move(spare)));
  CHECK(**next.peek() == 9);
  CHECK_FALSE(v.is_full());
}

TEST_CASE("mvar: read leaves the value, and all readers get it before it is taken",
          "[promise][mvar]") {
  test_loop loop(options_of_run());
  fermata::mvar<std::string> v;
  promise<std::string> taken = v.take();
  promise<std::string> a = v.read();
  promise<std::string> b = v.read();
  promise<> put = v.put("x");
  CHECK(put.is_resolved());
  CHECK(*a.peek() == "x");
  CHECK(*b.peek() == "x");
  CHECK(*taken.peek() == "x");
  CHECK_FALSE(v.is_full());
  CHECK(v.try_put("y"));
  promise<std::string> c = v.read();
  CHECK(*c.peek() == "y");
  CHECK(v.is_full());
}

TEST_CASE("mvar: who waits when it is destroyed is rejected", "[promise][mvar]") {
  test_loop loop(options_of_run());
  promise<int> waiting;
  {
    fermata::mvar<int> v;
    waiting = v.take();
  }
  CHECK_THROWS_WITH(std::move(waiting).get(), "what is waited for was destroyed");
}

TEST_CASE("broadcast gives every reader every item, then the end", "[promise][broadcast]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    auto [w, r] = fermata::broadcast<int>(8);
    promise<std::string> a = receives(std::move(r));
    CHECK(w.send(1) == 1);
    promise<std::string> b = receives(w.subscribe());
    CHECK(w.send(2) == 2);
    CHECK(w.send(3) == 2);
    return fermata::both(a, b);
  };
  const auto [a, b] = loop.run(run);
  CHECK(a == "1 2 3 end");
  CHECK(b == "2 3 end");
}

TEST_CASE("broadcast tells a reader that is too slow what it has missed", "[promise][broadcast]") {
  test_loop loop(options_of_run());
  auto [w, r] = fermata::broadcast<int>(3);
  auto copy = r;
  for (int i = 0; i < 10; ++i) CHECK(w.send(i) == 2);
  CHECK(r.behind() == 10);
  CHECK_THROWS_WITH(r.try_receive(),
                    "a reader of a broadcast was too slow: 7 items are lost to it");
  CHECK(r.try_receive() == 7);
  auto later = r;
  w = {};
  CHECK(loop.run([&, &reader = r] { return receives(reader); }) == "8 9 end");
  CHECK(loop.run([&] { return receives(copy); }) == "missed 7 7 8 9 end");
  CHECK(loop.run([&] { return receives(later); }) == "8 9 end");
}

TEST_CASE("broadcast: a receive that was woken late is told so too", "[promise][broadcast]") {
  test_loop loop(options_of_run());
  auto [w, r] = fermata::broadcast<int>(2);
  const auto run = [&, &writer = w, &reader = r] {
    promise<std::string> got = receives(reader);
    for (int i = 0; i < 5; ++i) writer.send(i);  // before it runs
    writer = {};
    return got;
  };
  CHECK(loop.run(run) == "missed 3 3 4 end");
}

TEST_CASE("broadcast: a cancelled receive loses nothing, two of one reader share",
          "[promise][broadcast]") {
  test_loop loop(options_of_run());
  auto [w, r] = fermata::broadcast<int>(4);
  promise<std::optional<int>> first = r.receive();
  promise<std::optional<int>> second = r.receive();
  promise<std::optional<int>> third = r.receive();
  { promise<std::optional<int>> dropped = w.subscribe().receive(); }
  fermata::cancel(first);
  w.send(1);
  CHECK(*second.peek() == 1);
  CHECK(third.is_pending());
  w.send(2);
  CHECK(*third.peek() == 2);
  promise<std::optional<int>> last = r.receive();
  w = {};
  CHECK(*last.peek() == std::nullopt);
  r = {};
  CHECK_THROWS_WITH(r.receive(), "a reader that was moved from is used");
  CHECK_THROWS_WITH(w.send(1), "a writer that was moved from is used");
  CHECK_THROWS_WITH(fermata::broadcast<int>(0), "a broadcast that keeps no item");
}

TEST_CASE("broadcast: without a reader nothing is kept", "[promise][broadcast]") {
  test_loop loop(options_of_run());
  auto item = std::make_shared<int>(1);
  auto [w, r] = fermata::broadcast<std::shared_ptr<int>>(4);
  w.send(item);
  CHECK(item.use_count() == 2);
  r = {};
  CHECK(item.use_count() == 1);
  CHECK(w.send(item) == 0);
  CHECK(item.use_count() == 1);
  auto next = w.subscribe();
  CHECK_FALSE(next.try_receive());
  w.send(item);
  CHECK(**next.try_receive() == 1);
}

TEST_CASE("broadcast and watch: a reader looks once an item", "[promise][broadcast][watch]") {
  test_loop loop(options_with(fermata::policy::always()));
  auto [w, r] = fermata::broadcast<int>(500);
  for (int i = 0; i < 300; ++i) w.send(i);
  w = {};
  loop.run([&, &reader = r] { return receives(reader); });
  CHECK(loop.metrics().looks >= 300);
}

TEST_CASE("watch gives the latest value to who waits for a change", "[promise][watch]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    auto [w, r] = fermata::watch<int>(0);
    CHECK_FALSE(r.has_changed());
    promise<std::string> got = watches(r);
    w.set(1);
    w.set(2);  // before the reader runs
    CHECK(r.has_changed());
    w.modify([](int& v) { v += 10; });
    CHECK(w.get() == 12);
    CHECK(w.readers() == 2);
    return got;
  };
  CHECK(loop.run(run) == "12 end");
}

TEST_CASE("watch: a cancelled wait loses no change", "[promise][watch]") {
  test_loop loop(options_of_run());
  auto [w, r] = fermata::watch<int>(0);
  promise<bool> waiting = r.changed();
  promise<bool> other = r.changed();
  fermata::cancel(waiting);
  w.set(1);
  CHECK(*other.peek() == true);
  promise<bool> again = r.changed();
  CHECK(*again.peek() == true);  // until it is got
  CHECK(r.get() == 1);
  promise<bool> last = r.changed();
  CHECK(last.is_pending());
  w = {};
  CHECK(*last.peek() == false);
  r = {};
  CHECK_THROWS_WITH(r.changed(), "a reader that was moved from is used");
}

TEST_CASE("watch: wait_until asks at each change", "[promise][watch]") {
  test_loop loop(options_of_run());
  auto [w, r] = fermata::watch<int>(0);
  promise<int> three = r.wait_until([](int v) { return v >= 3; });
  promise<int> nine = r.wait_until([](int v) { return v >= 9; });
  const auto run = [&, &writer = w] {
    writer.set(2);
    writer.set(4);
    return three;
  };
  CHECK(loop.run(run) == 4);
  w = {};
  CHECK_THROWS_WITH(loop.run([&] { return nine; }),
                    "cannot wait for a value: the watch has no writer any more");
}
