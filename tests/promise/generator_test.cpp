// SPDX-License-Identifier: MIT
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/channel.hpp>
#include <fermata/promise/generator.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <string>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::async_generator;
using fermata::promise;
using fermata::test_loop;

namespace {

async_generator<int> count_to(int n) {
  for (int i = 1; i <= n; ++i) co_yield i;
}
async_generator<int> slowly(int n) {
  for (int i = 1; i <= n; ++i) {
    co_await fermata::sleep_for(1ms);
    co_yield i;
  }
}
async_generator<int> counts_then_fails(int n) {
  for (int i = 1; i <= n; ++i) co_yield i;
  throw fermata::error("the source broke");
}
// Notes how it ends.
struct note {
  explicit note(std::string& t) : text(t) {}
  note(const note&) = delete;
  note& operator=(const note&) = delete;
  ~note() { text += "gone"; }
  std::string& text;
};
async_generator<int> notes(std::string& text) {
  const note n(text);
  bool was_cancelled = false;
  try {
    for (int i = 1;; ++i) {
      co_yield i;
      co_await fermata::sleep_for(1h);
    }
  } catch (const fermata::cancelled&) {
    was_cancelled = true;
  }
  if (was_cancelled) {
    co_await fermata::sleep_for(1ms);  // cleaning up
    text += "cleaned ";
  }
}
promise<std::string> consume(async_generator<int> g) {
  std::string got;
  try {
    for (;;) {
      const std::optional<int> item = co_await g.next();
      if (!item) break;
      got += std::to_string(*item) + " ";
    }
    got += "end";
  } catch (const fermata::cancelled&) {
    got += "cancelled";
  } catch (const std::exception& e) {
    got += e.what();
  }
  co_return got;
}
async_generator<int> nested(int depth) {
  if (depth == 0) {
    co_yield 7;
    co_return;
  }
  async_generator<int> inner = nested(depth - 1);
  for (;;) {
    const std::optional<int> item = co_await inner.next();
    if (!item) co_return;
    co_yield *item;
  }
}

}  // namespace

TEST_CASE("generator gives one item after another, then nothing", "[promise][generator]") {
  test_loop loop(options_of_run());
  CHECK(loop.run([] { return consume(count_to(4)); }) == "1 2 3 4 end");
  CHECK(loop.run([] { return consume(count_to(0)); }) == "end");
  CHECK(loop.run([] { return consume(slowly(3)); }) == "1 2 3 end");
  CHECK(loop.now().time_since_epoch() >= 3ms);
}

TEST_CASE("generator: next as a promise, and after the end", "[promise][generator]") {
  test_loop loop(options_of_run());
  async_generator<int> g = slowly(1);
  CHECK(loop.run([&] { return g.next().as_promise(); }) == 1);
  CHECK(loop.run([&] { return g.next().as_promise(); }) == std::nullopt);
  CHECK(loop.run([&] { return g.next().as_promise(); }) == std::nullopt);
}

TEST_CASE("generator: a failure comes after the items, once", "[promise][generator]") {
  int unseen = 0;
  fermata::loop_options options = options_of_run();
  options.on_unobserved = [&](std::exception_ptr) { ++unseen; };
  test_loop loop(std::move(options));
  CHECK(loop.run([] { return consume(counts_then_fails(2)); }) == "1 2 the source broke");
  async_generator<int> g = counts_then_fails(0);
  CHECK_THROWS_WITH(loop.run([&] { return g.next().as_promise(); }), "the source broke");
  CHECK(loop.run([&] { return g.next().as_promise(); }) == std::nullopt);
  g = {};
  CHECK(unseen == 0);
}

TEST_CASE("generator begins at the first next, and only then", "[promise][generator]") {
  test_loop loop(options_of_run());
  std::string text;
  { async_generator<int> never_begun = notes(text); }
  CHECK(text.empty());
  async_generator<int> g = notes(text);
  CHECK(loop.run([&] { return g.next().as_promise(); }) == 1);
  g = {};  // between two items: gone at once
  CHECK(text == "gone");
  CHECK_THROWS_WITH(g.next(), "a generator that was moved from is used");
}

TEST_CASE("generator: one that waits is cancelled when it is dropped", "[promise][generator]") {
  test_loop loop(options_of_run());
  std::string text;
  const auto run = [&]() -> promise<> {
    {
      async_generator<int> g = notes(text);
      co_await g.next();
      promise<std::optional<int>> waiting = g.next();
      CHECK(waiting.is_pending());
    }
    CHECK(text.empty());
    co_await fermata::sleep_for(2ms);
  };
  loop.run(run);
  CHECK(text == "cleaned gone");
}

TEST_CASE("generator: a cancel of next goes on to what the body waits for",
          "[promise][generator]") {
  test_loop loop(options_of_run());
  std::string text;
  const auto run = [&]() -> promise<std::string> {
    promise<std::string> got = consume(notes(text));
    co_await fermata::sleep_for(1ms);
    fermata::cancel(got);
    CHECK(got.is_pending());  // the body cleans up first
    const std::string how = co_await got;
    co_return how + " " + text;
  };
  CHECK(loop.run(run) == "1 end cleaned gone");
  const auto rough = [&]() -> promise<std::string> {
    promise<std::string> got = consume(slowly(5));
    co_await fermata::sleep_for(2500us);
    fermata::cancel(got);
    co_return co_await std::move(got);
  };
  CHECK(loop.run(rough) == "1 2 cancelled");
}

TEST_CASE("generator: close lets the body clean up and waits for it", "[promise][generator]") {
  test_loop loop(options_of_run());
  std::string text;
  const auto run = [&]() -> promise<> {
    async_generator<int> g = notes(text);
    co_await g.next();
    promise<> closed = g.close();
    CHECK(closed.is_pending());
    co_await closed;
    CHECK(text == "cleaned gone");
    const std::optional<int> more = co_await g.next();
    CHECK_FALSE(more);
    promise<> again = g.close();
    co_await again;
    async_generator<int> never_begun = notes(text);
    promise<> at_once = never_begun.close();
    CHECK(at_once.is_resolved());
    async_generator<int> waits = slowly(2);
    promise<std::optional<int>> item = waits.next();
    promise<> end = waits.close();
    co_await end;
    CHECK(item.is_resolved());
    CHECK_FALSE(*item.peek());
  };
  loop.run(run);
}

TEST_CASE("generator: two cannot wait for the next item at once", "[promise][generator]") {
  test_loop loop(options_of_run());
  const auto run = []() -> promise<> {
    async_generator<int> g = slowly(3);
    promise<std::optional<int>> first = g.next();
    promise<std::optional<int>> second = g.next();
    CHECK_THROWS_WITH(std::move(second).get(),
                      "the next item of a generator is waited for twice at once");
    const std::optional<int> got = co_await std::move(first);
    CHECK(got == 1);
  };
  loop.run(run);
}

TEST_CASE("generator: an item that nobody took is the next one", "[promise][generator]") {
  test_loop loop(options_of_run());
  const auto run = []() -> promise<> {
    async_generator<int> g = slowly(3);
    { promise<std::optional<int>> dropped = g.next(); }
    co_await fermata::sleep_for(5ms);
    const std::optional<int> got = co_await g.next();
    CHECK(got == 1);
  };
  loop.run(run);
}

TEST_CASE("generator: one that waits for what will never come ends", "[promise][generator]") {
  promise<std::string> got;
  {
    fermata::event_loop loop(options_of_run());
    const auto run = [&] {
      got = consume([]() -> async_generator<int> {
        co_yield 1;
        co_await fermata::never();
      }());
      return fermata::sleep_for(1ms);
    };
    loop.run(run);
  }
  CHECK(*got.peek() == "1 cannot go on: the event loop has ended");
}

TEST_CASE("generator looks once an item, and gives way", "[promise][generator]") {
  test_loop loop(options_with(fermata::policy::always()));
  loop.run([] { return consume(count_to(300)); });
  CHECK(loop.metrics().looks >= 300);
}

TEST_CASE("generator: stages nested deeper than the stack allows", "[promise][generator]") {
  test_loop loop(options_of_run());
  CHECK(loop.run([] { return consume(nested(5000)); }) == "7 end");
  CHECK(loop.run([] { return consume(count_to(100'000)); }).size() > 100'000);
}

TEST_CASE("generator of what can only be moved", "[promise][generator]") {
  test_loop loop(options_of_run());
  const auto make = []() -> async_generator<std::unique_ptr<int>> {
    co_yield std::make_unique<int>(1);
    auto second = std::make_unique<int>(2);
    co_yield std::move(second);
  };
  const auto run = [&]() -> promise<int> {
    async_generator<std::unique_ptr<int>> g = make();
    const std::optional<std::unique_ptr<int>> a = co_await g.next();
    const std::optional<std::unique_ptr<int>> b = co_await g.next();
    co_return **a + **b;
  };
  CHECK(loop.run(run) == 3);
}
