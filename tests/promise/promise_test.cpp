// SPDX-License-Identifier: MIT
#include "support/policy.hpp"

#include <fermata/promise/pause.hpp>
#include <fermata/promise/promise.hpp>
#include <fermata/promise/remote_resolver.hpp>
#include <fermata/promise/scope.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <string>

using namespace fermata::testing;
using fermata::event_loop;
using fermata::make_promise;
using fermata::promise;
using fermata::ready;

namespace {

promise<int> three() { co_return 3; }
promise<int> throws() {
  throw fermata::error("no luck");
  co_return 0;
}
promise<std::unique_ptr<int>> boxed() { co_return std::make_unique<int>(4); }
promise<int> sum(promise<int> a, promise<int> b) {
  const int first = co_await a;
  const int second = co_await b;
  co_return first + second;
}
promise<int> unbox() {
  auto p = boxed();
  auto box = co_await std::move(p);
  co_return *box;
}
promise<std::string> caught(promise<int> p) {
  std::string text;
  try {
    co_await p;
  } catch (const fermata::error& e) {
    text = e.what();
  }
  co_return text;
}

}  // namespace

TEST_CASE("promise of a coroutine resolves with what it returns", "[promise]") {
  event_loop loop(options_of_run());
  CHECK(loop.run([] { return three(); }) == 3);
  CHECK(loop.run([] { return sum(three(), ready(4)); }) == 7);
  CHECK(loop.run([] { return unbox(); }) == 4);
}

TEST_CASE("promise of a coroutine rejects with what it throws", "[promise]") {
  event_loop loop(options_of_run());
  CHECK_THROWS_WITH(loop.run([] { return throws(); }), "no luck");
  CHECK(loop.run([] { return caught(throws()); }) == "no luck");
}

TEST_CASE("coroutine starts at once and runs to its first wait", "[promise]") {
  event_loop loop(options_with(fermata::policy::budget()));
  auto [p, r] = make_promise<int>();
  bool reached = false;
  const auto wait = [](promise<int> q, bool& flag) -> promise<int> {
    flag = true;
    co_return co_await q;
  };
  promise<int> result = wait(p, reached);
  CHECK(reached);
  CHECK(result.is_pending());
  r.resolve(9);
  CHECK(result.is_pending());  // completion goes through the queue
  CHECK(loop.run([&] { return result; }) == 9);
}

TEST_CASE("resolve settles at once and runs its waiters in their order, later", "[promise]") {
  event_loop loop(options_of_run());
  auto [p, r] = make_promise<int>();
  std::string order;
  promise<> a = p.map([&](int) { order += "a"; });
  promise<> b = p.map([&](int) { order += "b"; });
  r.resolve(1);
  CHECK(*p.peek() == 1);
  CHECK(order.empty());
  loop.run([&] { return b; });
  CHECK(order == "ab");
}

TEST_CASE("bind and map go on at once on a settled promise", "[promise]") {
  event_loop loop(options_with(fermata::policy::budget()));
  int seen = 0;
  loop.run([&] {
    promise<int> p = ready(5).bind([&](int v) {
      seen = v;
      return ready(v + 1);
    });
    CHECK(seen == 5);
    CHECK(*p.peek() == 6);
    promise<> q = p.map([&](int v) { seen = v; });
    CHECK(seen == 6);
    return q;
  });
}

TEST_CASE("rejections pass by bind and map, and end in catch_", "[promise]") {
  event_loop loop(options_of_run());
  bool called = false;
  const auto run = [&] {
    return throws()
        .bind([&](int) {
          called = true;
          return ready(1);
        })
        .map([&](int v) {
          called = true;
          return v;
        })
        .catch_([](std::exception_ptr e) {
          CHECK(fermata::message_of(e) == "no luck");
          return ready(8);
        });
  };
  CHECK(loop.run(run) == 8);
  CHECK_FALSE(called);
}

TEST_CASE("try_bind takes either way and finalize both", "[promise]") {
  event_loop loop(options_of_run());
  int ends = 0;
  const auto end = [&] {
    ++ends;
    return fermata::pause().as_promise();
  };
  const auto plus = [](int v) { return ready(v + 1); };
  const auto zero = [](std::exception_ptr) { return ready(0); };
  CHECK(loop.run([&] { return three().try_bind(plus, zero); }) == 4);
  CHECK(loop.run([&] { return throws().try_bind(plus, zero); }) == 0);
  CHECK(loop.run([&] { return three().finalize(end); }) == 3);
  CHECK_THROWS_WITH(loop.run([&] { return throws().finalize(end); }), "no luck");
  CHECK(ends == 2);
  const auto bad_end = [] { return fermata::rejected(fermata::error("end failed")); };
  CHECK_THROWS_WITH(loop.run([&] { return three().finalize(bad_end); }), "end failed");
}

TEST_CASE("a capturing coroutine lambda handed to bind outlives its waits", "[promise]") {
  event_loop loop(options_of_run());
  const std::string word(100, 'x');
  const auto run = [&] {
    return three().bind([copy = word](int n) -> promise<std::string> {
      co_await fermata::pause();
      co_return copy + std::to_string(n);
    });
  };
  CHECK(loop.run(run) == word + "3");
}

TEST_CASE("an awaited lvalue is read in place, an rvalue is moved out", "[promise]") {
  event_loop loop(options_of_run());
  const auto run = []() -> promise<bool> {
    promise<std::string> p = ready(std::string(50, 'y'));
    const std::string& in_place = co_await p;
    const bool same = &in_place == p.peek();
    std::string moved = co_await std::move(p);
    co_return same&& moved.size() == 50;
  };
  CHECK(loop.run(run));
}

TEST_CASE("a value that can only be moved has one receiver", "[promise]") {
  event_loop loop(options_of_run());
  const auto run = []() -> promise<int> {
    auto p = boxed();
    auto copy = p;
    auto box = co_await std::move(p);
    co_return *box + (copy ? 0 : 1);
  };
  CHECK_THROWS_AS(loop.run(run), fermata::contract_error);
}

TEST_CASE("bind and map hand over a value that can only be moved, now and later", "[promise]") {
  event_loop loop(options_of_run());
  const auto opened = [](std::unique_ptr<int> box) { return *box; };
  const auto passed_on = [](std::unique_ptr<int> box) { return ready(std::move(box)); };
  const auto run = [&] { return boxed().bind(passed_on).map(opened); };
  CHECK(loop.run(run) == 4);
  auto [later, settle] = make_promise<std::unique_ptr<int>>();
  const promise<int> sum = std::move(later).bind(passed_on).map(
      [&, more = 1](std::unique_ptr<int> box) { return opened(std::move(box)) + more; });
  settle.resolve(std::make_unique<int>(5));
  CHECK(loop.run([&] { return sum; }) == 6);
}

TEST_CASE("resolver: used twice is told, dropped rejects, and says who waits", "[promise]") {
  event_loop loop(options_of_run());
  auto [p, r] = make_promise<int>();
  CHECK(r.is_waiting());
  CHECK(r.resolve(1));
  CHECK_FALSE(r.is_waiting());
  CHECK_THROWS_WITH(r.resolve(2), "a promise is resolved twice");
  promise<int> orphan;
  {
    auto [q, dropped] = make_promise<int>();
    orphan = q;
  }
  CHECK_THROWS_AS(loop.run([&] { return orphan; }), fermata::broken_promise);
}

TEST_CASE("a moved-out promise says so", "[promise]") {
  event_loop loop(options_of_run());
  promise<int> p = ready(1);
  promise<int> q = std::move(p);
  CHECK_THROWS_WITH(p.is_pending(), "a promise that was moved from is used");
  CHECK(*q.peek() == 1);
}

TEST_CASE("a function that gives a moved-out promise rejects the result, now and later",
          "[promise]") {
  event_loop loop(options_of_run());
  const std::string told = "a function gave a promise that was moved from";
  const auto gives_none = [] { return promise<int>(); };
  auto [later, settle] = make_promise<>();
  const promise<int> now = ready().bind(gives_none);
  const promise<int> then = later.bind(gives_none);
  settle.resolve();
  loop.run([&] { return then.map([](int) {}).catch_([](std::exception_ptr) { return ready(); }); });
  CHECK(fermata::message_of(now.error()) == told);
  CHECK(fermata::message_of(then.error()) == told);
}

TEST_CASE("a rejection that nobody saw is counted and told", "[promise]") {
  std::string seen;
  fermata::loop_options options = options_of_run();
  options.on_unobserved = [&](std::exception_ptr e) { seen = fermata::message_of(e); };
  event_loop loop(std::move(options));
  loop.run([] {
    promise<int> p = throws();
    static_cast<void>(p);
  });
  CHECK(seen == "no luck");
  CHECK(loop.metrics().unobserved_rejections == 1);
}

TEST_CASE("a rejection without an exception says so", "[promise]") {
  event_loop loop(options_of_run());
  const std::exception_ptr none;
  const std::string text = "a rejection without an exception";
  auto made = make_promise<int>();
  made.settle.reject(none);
  CHECK(fermata::message_of(made.future.error()) == text);
  CHECK_THROWS_WITH(loop.run([&] { return fermata::rejected<int>(none); }), text);
  const auto remote = [&] {
    auto two = fermata::make_remote_promise<int>();
    two.settle.reject(none);
    return std::move(two.future);
  };
  CHECK_THROWS_WITH(loop.run(remote), text);
  const auto scoped = [&] {
    return fermata::scope::run([&](fermata::scope& s) {
      s.fail(none);
      return ready();
    });
  };
  CHECK_THROWS_WITH(loop.run(scoped), text);
}

TEST_CASE("the end of a loop rejects what waits", "[promise]") {
  promise<int> left;
  promise<std::string> told;
  {
    event_loop loop(options_of_run());
    left = fermata::never<int>();
    told = caught(left);
  }
  CHECK(fermata::message_of(left.error()) == "cannot go on: the event loop has ended");
  REQUIRE(told.peek() != nullptr);
  CHECK(*told.peek() == "cannot go on: the event loop has ended");
}

namespace {

struct fragile {
  explicit fragile(int v) {
    if (v < 0) throw fermata::error("no negative ones");
  }
};
promise<> returns_under_guard() {
  const fermata::no_pause guard;
  co_return;
}
promise<> tail_of(promise<> p) { co_return co_await fermata::tail(std::move(p)); }

}  // namespace

TEST_CASE("resolver is still to be used where the value could not be made", "[promise]") {
  event_loop loop(options_of_run());
  auto [p, r] = make_promise<fragile>();
  CHECK_THROWS_WITH(r.resolve(-1), "no negative ones");
  REQUIRE(r);
  CHECK(p.is_pending());
  CHECK(r.resolve(1));
  CHECK(p.is_resolved());
}

TEST_CASE("resolver sees who waits behind a tail", "[promise]") {
  event_loop loop(options_of_run());
  auto made = make_promise<>();
  {
    const promise<> outer = tail_of(std::move(made.future));
    CHECK(made.settle.is_waiting());
  }
  CHECK_FALSE(made.settle.is_waiting());
}

TEST_CASE("no_pause of a caller outlives that of a coroutine it starts", "[promise][pause]") {
  event_loop loop(options_of_run());
  const auto run = [&] {
    const fermata::no_pause guard;
    const promise<> p = returns_under_guard();
    CHECK(p.is_resolved());
    CHECK(loop.task().no_pause == 1);
  };
  loop.run(run);
  CHECK(loop.task().no_pause == 0);
}
