// SPDX-License-Identifier: MIT
// What the core of promises guarantees where much happens at once, or in an odd order.

#include "support/policy.hpp"

#include <fermata/promise/combine.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/promise.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using fermata::event_loop;
using fermata::make_promise;
using fermata::promise;
using fermata::ready;
using fermata::resolver;
using fermata::test_loop;
using fermata::testing::options_of_run;

// How many steps of the ready queue it takes until `end` has settled.
std::uint64_t steps_until(event_loop& loop, const promise<>& end) {
  const std::uint64_t before = loop.metrics().tasks;
  loop.run([&] { return end; });
  return loop.metrics().tasks - before;
}

promise<> add_one(promise<int> p, int& sum) {
  const int value = co_await p;
  sum += value;
}

promise<int> adds(promise<int> p) {
  const int value = co_await std::move(p);
  co_return value + 1;
}

promise<> fails_at(promise<int> p) { co_await p; }

// Waits for its own promise, which `own` is by then.
promise<int> awaits_itself(const promise<int>& own, promise<> start) {
  co_await start;
  const int value = co_await own;
  co_return value + 1;
}

promise<int> ends_in_itself(promise<int>& own, promise<> start) {
  co_await start;
  co_return co_await fermata::tail(std::move(own));
}

promise<> waits_twice(promise<int> first, promise<int> second, std::string& order) {
  co_await first;
  order += "first ";
  co_await second;
  order += "second ";
}

}  // namespace

TEST_CASE("a hundred thousand waiters of one promise go on in their order, in many steps",
          "[promise][core]") {
  event_loop loop(options_of_run());
  constexpr int many = 100'000;
  auto [p, r] = make_promise<int>();
  int sum = 0;
  std::vector<promise<>> tasks;
  loop.run([&] {
    for (int i = 0; i < many; ++i) tasks.push_back(add_one(p, sum));
  });
  std::string order;
  promise<> last = p.map([&](int) { order += sum == many ? "last" : "early"; });
  r.resolve(1);
  constexpr std::uint64_t a_step = 256;  // how many wake at once: the others come in further steps
  CHECK(steps_until(loop, last) >= many + many / a_step);
  CHECK(order == "last");
}

TEST_CASE("a thousand waiters of one promise go on before those of one that is resolved later",
          "[promise][core]") {
  event_loop loop(options_of_run());
  auto [first, settle_first] = make_promise<int>();
  auto [second, settle_second] = make_promise<>();
  int sum = 0;
  std::vector<promise<>> tasks;
  loop.run([&] {
    for (int i = 0; i < 1000; ++i) tasks.push_back(add_one(first, sum));
  });
  int seen = 0;
  const promise<> later = second.map([&] { seen = sum; });
  settle_first.resolve(1);
  settle_second.resolve();
  loop.run([&] { return later; });
  CHECK(seen == 1000);
}

TEST_CASE("a cancel goes down a chain of a hundred thousand links in many steps",
          "[promise][core]") {
  event_loop loop(options_of_run());
  auto [p, r] = make_promise<int>();
  promise<int> end = p;
  loop.run([&] {
    for (int i = 0; i < 100'000; ++i) end = adds(std::move(end));
  });
  p = {};
  const std::uint64_t before = loop.metrics().tasks;
  fermata::cancel(end);
  CHECK(loop.metrics().tasks == before);
  CHECK_THROWS_AS(loop.run([&] { return end; }), fermata::cancelled);
  CHECK_FALSE(r.resolve(1));
}

TEST_CASE("a promise may outlive the loop of what waits for it", "[promise][core]") {
  event_loop outer(options_of_run());
  auto [p, r] = make_promise<int>();
  int sum = 0;
  {
    event_loop inner(options_of_run());
    const promise<> waiting = inner.run([&] {
      promise<> task = add_one(p, sum);
      return ready(std::move(task));
    });
    CHECK(waiting.is_pending());
  }
  CHECK(r.resolve(1));
  CHECK(sum == 0);  // there is no loop in which it could go on
}

TEST_CASE("a cancel that finds its wait over is kept for the next one", "[promise][core]") {
  event_loop loop(options_of_run());
  auto [first, end_first] = make_promise<int>();
  auto [second, end_second] = make_promise<int>();
  std::string order;
  promise<> task = waits_twice(first, second, order);
  end_first.resolve(1);
  fermata::cancel(task);  // the task is ready: the value came first
  CHECK_THROWS_AS(loop.run([&] { return task; }), fermata::cancelled);
  CHECK(order == "first ");
}

TEST_CASE("a cancel that finds its task at its end is heard by those it went through alone",
          "[promise][core]") {
  event_loop loop(options_of_run());
  std::string order;
  const auto inner = [](promise<int> p) -> promise<int> { co_return co_await std::move(p) + 1; };
  const auto outer = [&](promise<int> p, promise<int> later) -> promise<> {
    const int n = co_await p;
    order += std::to_string(n) + " ";
    co_await later;
    order += "later ";
  };
  for (const bool is_outer_asked : {true, false}) {
    order.clear();
    auto [first, end_first] = make_promise<int>();
    auto [second, end_second] = make_promise<int>();
    const promise<int> asked = inner(first);
    const promise<> waits = outer(asked, second);
    end_first.resolve(1);  // the value comes first
    if (is_outer_asked) {
      fermata::cancel(waits);
      CHECK_THROWS_AS(loop.run([&] { return waits; }), fermata::cancelled);
      CHECK(order == "2 ");
    } else {
      fermata::cancel(asked);
      end_second.resolve(1);
      loop.run([&] { return waits; });
      CHECK(order == "2 later ");
    }
  }
}

TEST_CASE("catch_ and finalize pass a value on that can only be moved", "[promise][core]") {
  event_loop loop(options_of_run());
  using box = std::unique_ptr<int>;
  auto [p, r] = make_promise<box>();
  promise<box> kept =
      std::move(p).catch_([](std::exception_ptr) { return ready(box()); }).finalize([] {
        return ready();
      });
  r.resolve(std::make_unique<int>(7));
  CHECK(*loop.run([&] { return std::move(kept); }) == 7);
}

TEST_CASE("catch_as takes what it names and lets the rest pass", "[promise][core]") {
  event_loop loop(options_of_run());
  const auto one = [](const std::out_of_range& e) { return ready(std::string(e.what())); };
  promise<std::string> taken =
      fermata::rejected<std::string>(std::out_of_range("far")).catch_as<std::out_of_range>(one);
  CHECK(loop.run([&] { return taken; }) == "far");
  promise<std::string> passed =
      fermata::rejected<std::string>(std::domain_error("odd")).catch_as<std::out_of_range>(one);
  CHECK_THROWS_AS(loop.run([&] { return passed; }), std::domain_error);
}

TEST_CASE("on_success, on_failure and on_settled hear once, and what they throw is reported",
          "[promise][core]") {
  fermata::loop_options options = options_of_run();
  std::string reported;
  options.on_unobserved = [&](std::exception_ptr e) { reported += fermata::message_of(e) + ";"; };
  event_loop loop(std::move(options));
  std::string heard;
  auto [p, r] = make_promise<int>();
  p.on_success([&](int v) { heard += "value " + std::to_string(v) + ","; });
  p.on_failure([&](std::exception_ptr) { heard += "failure,"; });
  p.on_settled([&](const promise<int>& q) { heard += q.is_resolved() ? "settled," : "odd,"; });
  p.on_success([](int) { throw std::runtime_error("from a hook"); });
  r.resolve(3);
  loop.run([] { return fermata::pause().as_promise(); });
  CHECK(heard == "value 3,settled,");
  CHECK(reported == "from a hook;");
}

TEST_CASE("async tells its hook, or the loop's, and a cancel is no error", "[promise][core]") {
  fermata::loop_options options = options_of_run();
  std::string reported;
  options.on_unobserved = [&](std::exception_ptr e) { reported += fermata::message_of(e) + ";"; };
  event_loop loop(std::move(options));
  std::string own;
  const auto fails = [] { return fermata::rejected<>(std::runtime_error("lost")); };
  loop.run([&] {
    fermata::async(fails);
    fermata::async(fails, [&](std::exception_ptr e) { own = fermata::message_of(e); });
    fermata::async([] { return fermata::rejected<>(fermata::cancelled()); });
    return fermata::pause().as_promise();
  });
  CHECK(own == "lost");
  CHECK(reported == "lost;");
}

TEST_CASE("attach keeps an object until the promise has settled", "[promise][core]") {
  event_loop loop(options_of_run());
  auto object = std::make_shared<int>(1);
  const std::weak_ptr<int> seen = object;
  auto [p, r] = make_promise<int>();
  promise<int> held = std::move(p).attach(std::move(object));
  CHECK_FALSE(seen.expired());
  r.resolve(5);
  CHECK(loop.run([&] { return held; }) == 5);
  CHECK(seen.expired());
}

TEST_CASE("resolve_now runs the waiters inside the call", "[promise][core]") {
  event_loop loop(options_of_run());
  auto [p, r] = make_promise<int>();
  std::string order;
  promise<> a = p.map([&](int) { order += "a"; });
  promise<> b = p.map([&](int) { order += "b"; });
  loop.run([&, &settle = r] {
    settle.resolve_now(1);
    order += "!";
  });
  CHECK(order == "ab!");
}

TEST_CASE("state says what a promise is", "[promise][core]") {
  const event_loop loop(options_of_run());
  auto [p, r] = make_promise<int>();
  CHECK(p.state() == fermata::promise_state::pending);
  r.resolve(1);
  CHECK(p.state() == fermata::promise_state::resolved);
  const auto bad = fermata::rejected(std::runtime_error("bad"));
  CHECK(bad.state() == fermata::promise_state::rejected);
  CHECK(bad.error() != nullptr);
}

TEST_CASE("async_trace names the sites a promise waits at, or was rejected through",
          "[promise][core]") {
  event_loop loop(options_of_run());
  auto [p, r] = make_promise<int>();
  const promise<> task = fails_at(p);
  const promise<> mapped = task.map([] {});
  const std::string waiting = fermata::async_trace(mapped);
  CHECK(waiting.starts_with("pending\n  waits at promise/core_test.cpp:"));
  CHECK(std::count(waiting.begin(), waiting.end(), '\n') == 3);
  r.reject(std::make_exception_ptr(std::runtime_error("broken")));
  CHECK_THROWS(loop.run([&] { return mapped; }));
  const std::string rejected = fermata::async_trace(mapped);
  CHECK(rejected.starts_with("rejected: broken\n  through promise/core_test.cpp:"));
  CHECK(std::count(rejected.begin(), rejected.end(), '\n') == 4);  // map, await, reject
}

#ifndef NDEBUG
TEST_CASE("a promise that another thread touches says so", "[promise][core]") {
  event_loop loop(options_of_run());
  const promise<std::string> p = ready(std::string("of this thread"));
  std::string said;
  std::thread([&] {
    try {
      static_cast<void>(p.is_pending());
    } catch (const fermata::contract_error& e) {
      said = e.what();
    }
  }).join();
  CHECK(said == "a promise is touched by a thread that it does not belong to");
}
#endif

TEST_CASE("tasks that start tasks in depth give the thread back when the slice is over",
          "[promise][core]") {
  fermata::test_loop loop;
  struct tree {
    static promise<int> count(int depth) {
      static_cast<void>(fermata::due(std::chrono::microseconds(50)));
      if (depth == 0) co_return 1;
      promise<int> left = count(depth - 1);
      promise<int> right = count(depth - 1);
      auto [a, b] = co_await fermata::both(left, right);
      co_return a + b;
    }
  };
  CHECK(loop.run([] { return tree::count(12); }) == 4096);
  // 8,191 nodes of 50 us: what a turn may exceed the slice by is a few starts, not the whole tree.
  CHECK(loop.metrics().longest_gap.wall < std::chrono::milliseconds(3));
}

TEST_CASE("a promise that would wait for itself is rejected and says so", "[promise][core]") {
  test_loop loop(options_of_run());
  const std::string told = "a promise waits for itself";
  auto [start, settle] = make_promise<>();
  promise<int> bound;
  promise<int> caught;
  promise<int> awaited;
  bound = start.bind([&] { return bound; });
  caught = start.bind([] { return fermata::rejected<int>(fermata::error("no luck")); });
  caught = std::move(caught).catch_([&](std::exception_ptr) { return caught; });
  awaited = awaits_itself(awaited, start);
  settle.resolve();
  CHECK_THROWS_WITH(loop.run([&] { return bound; }), told);
  CHECK_THROWS_WITH(loop.run([&] { return caught; }), told);
  CHECK_THROWS_WITH(loop.run([&] { return awaited; }), told);
}

TEST_CASE("a coroutine that would end in its own promise is rejected and says so",
          "[promise][core]") {
  test_loop loop(options_of_run());
  auto [start, settle] = make_promise<>();
  promise<int> own;
  own = ends_in_itself(own, start);
  std::string told;
  own.on_failure([&](std::exception_ptr e) { told = fermata::message_of(e); });
  promise<int> alone;
  alone = ends_in_itself(alone, start);  // nobody else holds it: the tail's is the last handle
  settle.resolve();
  loop.run([] { return fermata::sleep_for(std::chrono::milliseconds(1)); });
  CHECK(told == "a promise waits for itself");
  CHECK(loop.metrics().unobserved_rejections == 1);
}
