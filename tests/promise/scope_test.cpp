// SPDX-License-Identifier: MIT
// Who is cancelled how often, and that a scope outlives all that it has started.
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/scope.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

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

TEST_CASE("scope: fork_promise keeps what its function throws to itself", "[promise][scope]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    return fermata::scope::run([](fermata::scope& s) {
      return waits_for(s.fork_promise([]() -> promise<> { throw fermata::error("mine"); }));
    });
  };
  CHECK(loop.run(run) == "mine");
}
