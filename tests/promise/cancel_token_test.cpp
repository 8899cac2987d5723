// SPDX-License-Identifier: MIT
// Promises that a cancel does not reach, and sources that cancel many.
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/cancel.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::cancel_callback;
using fermata::cancel_source;
using fermata::cancel_token;
using fermata::promise;
using fermata::ready;
using fermata::test_loop;

namespace {

// Says what became of an hour's sleep that goes to `guard`, is cancelled and then given 2 ms.
struct fates {
  std::string result;
  std::string operation;
};
template <typename Guard>
fates cancelled_through(Guard guard) {
  test_loop loop(options_of_run());
  fates f;
  const auto operation = [&f]() -> promise<> {
    f.operation = "runs";
    try {
      co_await fermata::sleep_for(2ms);
      f.operation = "ran";
    } catch (const fermata::cancelled&) {
      f.operation = "cancelled";
      throw;
    }
  };
  const auto run = [&]() -> promise<> {
    promise<> p = guard(operation());
    promise<std::string> told = waits_for(p);
    fermata::cancel(p);
    f.result = p.is_pending() ? "pending" : "settled";
    f.result += ", " + f.operation;
    const std::string end = co_await told;
    f.result += ", " + end;
    co_await fermata::sleep_for(5ms);
  };
  loop.run(run);
  return f;
}

}  // namespace

// ---- protect and no_cancel ----

TEST_CASE("protect: a cancel ends the wait and not the operation", "[promise][cancel]") {
  const fates f = cancelled_through([](promise<> p) { return fermata::protect(std::move(p)); });
  CHECK(f.result == "settled, runs, cancelled");
  CHECK(f.operation == "ran");
}

TEST_CASE("no_cancel: a cancel ends neither", "[promise][cancel]") {
  const fates f = cancelled_through([](promise<> p) { return fermata::no_cancel(std::move(p)); });
  CHECK(f.result == "pending, runs, went on");
  CHECK(f.operation == "ran");
}

TEST_CASE("without a guard a cancel ends both", "[promise][cancel]") {
  const fates f = cancelled_through([](promise<> p) { return p; });
  CHECK(f.result == "pending, runs, cancelled");
  CHECK(f.operation == "cancelled");
}

TEST_CASE("protect and no_cancel: values and errors pass by", "[promise][cancel]") {
  test_loop loop(options_of_run());
  const auto run = []() -> promise<int> {
    auto box = fermata::sleep_for(1ms).map([] { return std::make_unique<int>(4); });
    auto guarded = fermata::no_cancel(fermata::protect(std::move(box)));
    box = {};
    auto value = co_await std::move(guarded);
    co_return *value;
  };
  CHECK(loop.run(run) == 4);
  const auto fails = [] {
    return fermata::protect(fermata::sleep_for(1ms).map([] { throw fermata::error("bad"); }));
  };
  CHECK_THROWS_WITH(loop.run(fails), "bad");
  CHECK(fermata::protect(ready(1)).is_resolved());
}

TEST_CASE("protect: the failure of what was left is not lost", "[promise][cancel]") {
  std::string unseen;
  fermata::loop_options options = options_of_run();
  options.on_unobserved = [&](std::exception_ptr e) { unseen = fermata::message_of(e); };
  test_loop loop(std::move(options));
  const auto run = [] {
    promise<> p =
        fermata::protect(fermata::sleep_for(1ms).map([] { throw fermata::error("late"); }));
    fermata::cancel(p);
    return fermata::sleep_for(3ms);
  };
  loop.run(run);
  CHECK(unseen == "late");
}

// ---- a task's own look ----

TEST_CASE("check_cancelled: work without a wait hears that it is to end", "[promise][cancel]") {
  test_loop loop(options_of_run());
  int steps = 0;
  bool looked = false;
  const auto run = [&]() -> promise<std::string> {
    promise<> self;
    const auto work = [&]() -> promise<> {
      co_await fermata::sleep_for(1ms);
      for (;; ++steps) {
        co_await fermata::check_cancelled();
        if (steps == 3) fermata::cancel(self);
        const bool asked = co_await fermata::cancel_requested();
        looked = looked || asked;
      }
    };
    self = work();
    co_return co_await waits_for(self);
  };
  CHECK(loop.run(run) == "cancelled");
  CHECK(steps == 4);
  CHECK(looked);
}

// ---- tokens ----

TEST_CASE("cancel_token: says that its source was cancelled, and why", "[promise][cancel]") {
  const test_loop loop(options_of_run());
  cancel_source source;
  const cancel_token token = source.token();
  CHECK_FALSE(token.is_cancelled());
  token.check();
  CHECK(source.cancel("shutdown"));
  CHECK_FALSE(source.cancel("again"));
  CHECK(token.is_cancelled());
  CHECK(token.reason() == "shutdown");
  try {
    token.check();
    FAIL("it must throw");
  } catch (const fermata::cancelled& c) {
    CHECK(std::string(c.what()) == "cancelled: shutdown");
  }
  cancel_token().check();
}

TEST_CASE("cancel_source: a child is cancelled with its parent, not the other way",
          "[promise][cancel]") {
  const test_loop loop(options_of_run());
  cancel_source parent;
  cancel_source child(parent.token());
  cancel_source grandchild(child.token());
  cancel_source brother(parent.token());
  child.cancel("own");
  CHECK(grandchild.token().reason() == "own");
  CHECK_FALSE(parent.is_cancelled());
  CHECK_FALSE(brother.is_cancelled());
  parent.cancel("all");
  CHECK(brother.token().reason() == "all");
  CHECK(child.token().reason() == "own");
  CHECK(cancel_source(parent.token()).is_cancelled());
}

TEST_CASE("cancel_callback: called once in order, and not after its end", "[promise][cancel]") {
  const test_loop loop(options_of_run());
  cancel_source source;
  std::string order;
  std::optional<cancel_callback> later;
  const cancel_callback a(source.token(), [&] {
    order += "a";
    later.reset();
    CHECK_FALSE(source.cancel());
  });
  later.emplace(source.token(), [&] { order += "gone"; });
  std::unique_ptr<cancel_callback> self;
  self = std::make_unique<cancel_callback>(source.token(), [&] {
    self.reset();
    order += "b";
  });
  source.cancel();
  CHECK(order == "ab");
  const cancel_callback c(source.token(), [&] { order += "c"; });
  CHECK(order == "abc");
}

TEST_CASE("cancel_callback: what one throws is reported, the others run", "[promise][cancel]") {
  int reported = 0;
  fermata::loop_options options = options_of_run();
  options.on_unobserved = [&](std::exception_ptr) { ++reported; };
  const test_loop loop(std::move(options));
  cancel_source source;
  bool ran = false;
  const cancel_callback bad(source.token(), [] { throw fermata::error("no"); });
  const cancel_callback good(source.token(), [&] { ran = true; });
  source.cancel();
  CHECK(reported == 1);
  CHECK(ran);
}

TEST_CASE("cancel_source: may end within its own callback", "[promise][cancel]") {
  const test_loop loop(options_of_run());
  auto source = std::make_unique<cancel_source>();
  bool second = false;
  const cancel_callback a(source->token(), [&] { source.reset(); });
  const cancel_callback b(source->token(), [&] { second = true; });
  source->cancel();
  CHECK(second);
}

TEST_CASE("with_cancel: cancels what it guards and settles after it", "[promise][cancel]") {
  test_loop loop(options_of_run());
  bool cleaned = false;
  const auto slow = [&]() -> promise<> {
    try {
      co_await fermata::never();
    } catch (const fermata::cancelled&) {
    }
    co_await fermata::sleep_for(3ms);
    cleaned = true;
    throw fermata::cancelled();
  };
  const auto run = [&]() -> promise<std::string> {
    cancel_source source;
    promise<> p = fermata::with_cancel(source.token(), slow());
    promise<std::string> told = waits_for(p);
    source.cancel();
    CHECK(p.is_pending());
    std::string end = co_await told;
    CHECK(cleaned);
    promise<> after = fermata::with_cancel(source.token(), fermata::never());
    promise<std::string> second = waits_for(after);
    end += ", " + co_await second;
    promise<int> value = fermata::with_cancel(source.token(), ready(1));
    CHECK(value.is_resolved());
    co_return end;
  };
  CHECK(loop.run(run) == "cancelled, cancelled");
}

TEST_CASE("with_cancel: a source that is never cancelled changes nothing", "[promise][cancel]") {
  test_loop loop(options_of_run());
  const auto run = []() -> promise<int> {
    cancel_source source;
    auto slow = fermata::sleep_for(1ms).map([] { return 5; });
    auto guarded = fermata::with_cancel(source.token(), std::move(slow));
    const int v = co_await std::move(guarded);
    source.cancel();  // nobody is left to hear it
    promise<> own = fermata::with_cancel(cancel_source().token(), fermata::never());
    fermata::cancel(own);
    const std::string end = co_await waits_for(own);
    CHECK(end == "cancelled");
    co_return v;
  };
  CHECK(loop.run(run) == 5);
}

TEST_CASE("when_cancelled: resolves with the source, ends with a cancel or the loop",
          "[promise][cancel]") {
  promise<std::string> at_the_end;
  cancel_source other;
  {
    test_loop loop(options_of_run());
    const auto run = [&]() -> promise<std::string> {
      cancel_source source;
      promise<std::string> a = waits_for(source.token().when_cancelled());
      promise<std::string> b = waits_for(source.token().when_cancelled());
      fermata::cancel(b);
      at_the_end = waits_for(other.token().when_cancelled());
      source.cancel();
      std::string ends = co_await a;
      ends += ", " + co_await b;
      promise<> there = source.token().when_cancelled();
      CHECK(there.is_resolved());
      co_return ends;
    };
    CHECK(loop.run(run) == "went on, cancelled");
  }
  REQUIRE(at_the_end.is_resolved());
  CHECK(*at_the_end.peek() == "cannot go on: the event loop has ended");
}

TEST_CASE("cancel_source: many hear of it in pieces", "[promise][cancel]") {
  constexpr int many = 5000;
  fermata::event_loop loop(options_with(fermata::policy::always()));
  cancel_source source;
  int told = 0;
  std::vector<std::unique_ptr<cancel_callback>> callbacks;
  for (int i = 0; i < many; ++i) {
    callbacks.push_back(std::make_unique<cancel_callback>(source.token(), [&] { ++told; }));
  }
  const auto run = [&]() -> promise<std::uint64_t> {
    const std::uint64_t before = loop.metrics().looks;
    source.cancel();
    CHECK(told < many);
    while (told < many) co_await fermata::pause();
    co_return loop.metrics().looks - before;
  };
  CHECK(loop.run(run) >= many / 2);
}

TEST_CASE("cancel_source: a cancel through 10,000 generations needs no stack",
          "[promise][cancel]") {
  test_loop loop(options_of_run());
  const auto run = []() -> promise<> {
    cancel_source first;
    std::vector<cancel_source> line;
    line.emplace_back(first.token());
    for (int i = 0; i < 10'000; ++i) line.emplace_back(line.back().token());
    promise<> last = line.back().token().when_cancelled();
    first.cancel();
    co_await last;
  };
  loop.run(run);
}

TEST_CASE("stop tokens: both ways", "[promise][cancel]") {
  fermata::event_loop loop(options_of_run());
  cancel_source inner;
  const std::stop_token stop = inner.token().stop_token();
  CHECK_FALSE(stop.stop_requested());
  inner.cancel();
  CHECK(stop.stop_requested());
  CHECK(inner.token().stop_token().stop_requested());
  std::stop_source outer;
  cancel_source follower(outer.get_token());
  std::jthread other([&] { outer.request_stop(); });
  loop.run([&] { return follower.token().when_cancelled(); });
  CHECK(follower.token().reason() == "a stop was requested");
  CHECK(cancel_source(outer.get_token()).is_cancelled());
}

TEST_CASE("stop tokens: a source that is gone hears nothing", "[promise][cancel]") {
  fermata::event_loop loop(options_of_run());
  std::stop_source outer;
  { const cancel_source gone(outer.get_token()); }
  outer.request_stop();
  loop.run([] { return fermata::pause().as_promise(); });
}
