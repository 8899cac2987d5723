// SPDX-License-Identifier: MIT
// Who is cancelled how often, and that a scope outlives all that it has started.
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/pause.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <source_location>
#include <string>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::promise;
using fermata::ready;
using fermata::test_loop;

namespace {

promise<> cleans_up(bool& done) {
  try {
    co_await fermata::never();
  } catch (const fermata::cancelled&) {
  }
  co_await fermata::sleep_for(2ms);
  done = true;
}

}  // namespace

TEST_CASE("scope: daemons that only leave what they wait for end with it", "[promise][scope]") {
  test_loop loop(options_of_run());
  const auto run = []() -> promise<> {
    promise<> shared = fermata::never();
    const promise<std::string> other = waits_for(shared);
    const auto body = [shared](fermata::scope& s) {
      for (int i = 0; i < 3; ++i) s.fork_daemon([shared] { return shared; });
      s.fork([] { return fermata::sleep_for(1ms); });
      return ready();
    };
    promise<> end = fermata::scope::run(body);
    co_await end;
    CHECK(shared.is_pending());
  };
  loop.run(run);
}

TEST_CASE("scope: a daemon is cancelled once and may clean up", "[promise][scope]") {
  test_loop loop(options_of_run());
  bool done = false;
  const auto run = [&] {
    return fermata::scope::run([&](fermata::scope& s) {
      s.fork_daemon([&] { return cleans_up(done); });
      s.fork_daemon([] { return fermata::never(); });
      return fermata::sleep_for(1ms);
    });
  };
  loop.run(run);
  CHECK(done);
}

TEST_CASE("scope: what a release hook forks ends before the scope does", "[promise][scope]") {
  test_loop loop(options_of_run());
  std::string order;
  const auto run = [&] {
    return fermata::scope::run([&](fermata::scope& s) {
      s.on_release([&] {
        order += "last hook";
        return ready();
      });
      s.on_release([&] {
        s.fork([&] { return fermata::sleep_for(2ms).map([&] { order += "child, "; }); });
        return ready();
      });
      return ready();
    });
  };
  loop.run(run);
  CHECK(order == "child, last hook");
}

TEST_CASE("scope: a cancel does not reach its release hooks", "[promise][scope]") {
  test_loop loop(options_of_run());
  bool released = false;
  const auto run = [&]() -> promise<std::string> {
    const auto body = [&](fermata::scope& s) {
      s.on_release([&] { return fermata::sleep_for(5ms).map([&] { released = true; }); });
      return ready();
    };
    promise<> p = fermata::scope::run(body);
    promise<std::string> end = waits_for(p, "resolved");
    co_await fermata::sleep_for(1ms);
    fermata::cancel(p);
    co_return co_await end;
  };
  CHECK(loop.run(run) == "resolved");
  CHECK(released);
}

TEST_CASE("scope: at the end of the loop its callables outlive its children", "[promise][scope]") {
  const std::string text(100, 'x');  // in the closure, which a sanitizer watches
  std::string seen;
  promise<> p;
  {
    test_loop loop(options_of_run());
    const auto child = [&seen, text]() -> promise<> {
      try {
        co_await fermata::never();
      } catch (const fermata::error& e) {
        seen = text + e.what();
      }
    };
    const auto run = [&] {
      p = fermata::scope::run([&](fermata::scope& s) {
        s.fork(child);
        return ready();
      });
      return fermata::sleep_for(1ms);
    };
    loop.run(run);
  }
  CHECK(seen == text + "cannot go on: the event loop has ended");
  CHECK(p.is_resolved());
}

TEST_CASE("scope: children that end with the loop are one failure", "[promise][scope]") {
  promise<std::string> told;
  {
    test_loop loop(options_of_run());
    const auto body = [](fermata::scope& s) {
      for (int i = 0; i < 3; ++i) s.fork([] { return fermata::never(); });
      return fermata::never();
    };
    loop.run([&] { told = waits_for(fermata::scope::run(body)); });
  }
  REQUIRE(told.is_resolved());
  CHECK(*told.peek() == "cannot go on: the event loop has ended");
}

TEST_CASE("scope: fork_promise keeps what its function throws to itself", "[promise][scope]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    return fermata::scope::run([](fermata::scope& s) {
      return waits_for(s.fork_promise([]() -> promise<> { throw fermata::error("mine"); }));
    });
  };
  CHECK(loop.run(run) == "mine");
}

TEST_CASE("scope: dump names its children, where they started and how long ago",
          "[promise][scope]") {
  test_loop loop(options_of_run());
  const auto here = std::source_location::current();
  std::string before;
  std::string after;
  bool cleaned = false;
  const auto run = [&] {
    fermata::scope_options options;
    options.name = "fetch";
    const auto body = [&](fermata::scope& s) -> promise<> {
      const auto receive = [&] { return cleans_up(cleaned); };
      s.fork("receive", receive, here);
      const auto watch = [] { return fermata::never(); };
      s.fork_daemon(watch, here);
      co_await fermata::sleep_for(3ms);
      before = s.dump();
      s.cancel("the client is gone");
      after = s.dump(1);
      co_await fermata::never();
    };
    return fermata::scope::run(std::move(options), body).catch_([](std::exception_ptr e) {
      CHECK(fermata::is_cancelled(e));
      return fermata::ready();
    });
  };
  loop.run(run);
  const std::string at = "scope_test.cpp:" + std::to_string(here.line());
  CHECK(before == "scope fetch: 3 ms, 2 children\n  child receive: 3 ms, " + at +
                      "\n  daemon -: 3 ms, " + at + "\n");
  CHECK(after ==
        "scope fetch: 3 ms, 2 children, cancelled: the client is gone\n"
        "  child receive: 3 ms, " +
            at + ", asked to end\n  and 1 more\n");
  CHECK(cleaned);
}

TEST_CASE("scope: says why it was cancelled", "[promise][scope]") {
  test_loop loop(options_of_run());
  std::string why;
  const auto run = [&]() -> promise<> {
    const auto body = [](fermata::scope& s) {
      s.cancel("the client is gone");
      return fermata::never();
    };
    promise<> p = fermata::scope::run(body);
    try {
      co_await p;
    } catch (const fermata::cancelled& c) {
      why = c.what();
    }
  };
  loop.run(run);
  CHECK(why == "cancelled: the client is gone");
}

TEST_CASE("scope: a time limit fails it, and ends with the children", "[promise][scope]") {
  test_loop loop(options_of_run());
  fermata::scope_options options;
  options.time_limit = 5ms;
  bool cleaned = false;
  const auto slow = [&] {
    return fermata::scope::run(options, [&](fermata::scope& s) {
      s.fork([&] { return cleans_up(cleaned); });
      return fermata::never();
    });
  };
  CHECK_THROWS_WITH(loop.run(slow), "timed out after 5 ms");
  CHECK(cleaned);
  const auto slow_hook = [&] {
    return fermata::scope::run(options, [&](fermata::scope& s) {
      s.on_release([] { return fermata::sleep_for(20ms); });
      return ready(3);
    });
  };
  CHECK(loop.run(slow_hook) == 3);
}

TEST_CASE("scope: a hook that was taken away does not run", "[promise][scope]") {
  test_loop loop(options_of_run());
  std::string order;
  const auto hook = [&](const char* name) {
    return [&order, name] {
      order += name;
      return ready();
    };
  };
  const auto run = [&] {
    return fermata::scope::run([&](fermata::scope& s) {
      s.on_release(hook("a"));
      const auto second = s.on_release(hook("b"));
      s.on_release(hook("c"));
      CHECK(s.remove_hook(second));
      CHECK_FALSE(s.remove_hook(second));
      return ready();
    });
  };
  loop.run(run);
  CHECK(order == "ca");
}

TEST_CASE("scope: the name of a child is that of its task", "[promise][scope]") {
  test_loop loop(options_of_run());
  std::string name;
  const auto run = [&] {
    return fermata::scope::run([&](fermata::scope& s) {
      s.fork("indexer", [&]() -> promise<> {
        co_await fermata::sleep_for(1ms);
        name = fermata::event_loop::current().current_context()->name();
      });
      return ready();
    });
  };
  loop.run(run);
  CHECK(name == "indexer");
}

TEST_CASE("scope: 20,000 children hear of a cancel in pieces", "[promise][scope]") {
  constexpr std::size_t many = 20'000;
  fermata::event_loop loop(options_with(fermata::policy::always()));
  const auto run = [&]() -> promise<std::uint64_t> {
    std::uint64_t before = 0;
    const auto body = [&](fermata::scope& s) -> promise<> {
      for (std::size_t i = 0; i < many; ++i) s.fork([] { return fermata::never(); });
      before = loop.metrics().looks;
      s.cancel();
      CHECK(s.children() == many);
      co_return;
    };
    promise<std::string> end = waits_for(fermata::scope::run(body));
    const std::string how = co_await end;
    CHECK(how == "cancelled");
    co_return loop.metrics().looks - before;
  };
  CHECK(loop.run(run) >= many / 32);
}

TEST_CASE("scope: 20,000 daemons end in linear time", "[promise][scope]") {
  test_loop loop(options_of_run());
  int ended = 0;
  const auto daemon = [&]() -> promise<> {
    try {
      co_await fermata::never();
    } catch (const fermata::cancelled&) {
      ++ended;
    }
  };
  const auto run = [&] {
    return fermata::scope::run([&](fermata::scope& s) {
      for (int i = 0; i < 20'000; ++i) s.fork_daemon(daemon);
      return ready();
    });
  };
  loop.run(run);
  CHECK(ended == 20'000);
}

TEST_CASE("scope: a cancel through 10,000 nested ones needs no stack", "[promise][scope]") {
  test_loop loop(options_of_run());
  struct nested {
    static promise<> go(int n) {
      if (n == 0) return fermata::never();
      return fermata::scope::run([n](fermata::scope& s) {
        s.fork([n] { return go(n - 1); });
        return ready();
      });
    }
  };
  const auto run = []() -> promise<std::string> {
    promise<> p = nested::go(10'000);
    for (int i = 0; i < 10'000; ++i) co_await fermata::pause();
    promise<std::string> end = waits_for(p);
    fermata::cancel(p);
    co_return co_await end;
  };
  CHECK(loop.run(run) == "cancelled");
}
