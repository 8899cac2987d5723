// SPDX-License-Identifier: MIT
// How a scope ends that was asked to: a cancel that has cut something short is not a success.
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/cancel.hpp>
#include <fermata/promise/combine.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::promise;
using fermata::ready;
using fermata::scope;
using fermata::test_loop;

namespace {

promise<> starts_endless(scope& s) {
  s.fork([] { return fermata::never(); });
  return ready();
}
/// A scope whose body has ended and whose child never does.
promise<> endless() { return scope::run(starts_endless); }

/// Ends normally, 2 ms after it was asked to.
promise<> finishes_all_the_same(bool& done) {
  try {
    co_await fermata::never();
  } catch (const fermata::cancelled&) {
  }
  co_await fermata::sleep_for(2ms);
  done = true;
}
promise<> cancels(scope& s, std::string why) {
  co_await fermata::sleep_for(1ms);
  s.cancel(why);
}
/// How the scope ends that `body` runs in and that is cancelled after 5 ms.
template <typename F>
std::string end_of(F body) {
  test_loop loop(options_of_run());
  return loop.run([&]() -> promise<std::string> {
    promise<> p = scope::run(body);
    promise<std::string> end = waits_for(p);
    co_await fermata::sleep_for(5ms);
    fermata::cancel(p);
    co_return co_await end;
  });
}
/// What the scope rejects with that `body` runs in, cancelled or not.
template <typename F>
std::string reason_of(F body) {
  test_loop loop(options_of_run());
  return loop.run([&]() -> promise<std::string> {
    promise<> p = scope::run(body);
    std::string why = "went on";
    try {
      co_await p;
    } catch (const fermata::cancelled& c) {
      why = c.what();
    }
    co_return why;
  });
}

}  // namespace

TEST_CASE("scope: with_timeout hears that children were late", "[promise][scope]") {
  test_loop loop(options_of_run());
  CHECK_THROWS_WITH(loop.run([] { return fermata::with_timeout(5ms, endless()); }),
                    "timed out after 5 ms");
  const auto body = [](scope& s) {
    s.fork([] { return fermata::never(); });
    return fermata::no_cancel(fermata::sleep_for(9ms)).map([] { return 4; });
  };
  CHECK_THROWS_WITH(loop.run([&] { return fermata::with_timeout(5ms, scope::run(body)); }),
                    "timed out after 5 ms");
}

TEST_CASE("scope: a cancel after its body has ended is one", "[promise][scope]") {
  CHECK(end_of(starts_endless) == "cancelled");
  CHECK(end_of([](scope& s) {
          promise<> p = s.fork_promise([] { return fermata::never(); });
          return ready();
        }) == "cancelled");
  promise<> shared;  // which the scope only leaves
  CHECK(end_of([&shared](scope& s) {
          shared = fermata::never();
          const promise<std::string> other = waits_for(shared);
          s.fork([&shared] { return shared; });
          return ready();
        }) == "cancelled");
}

TEST_CASE("scope: with_cancel and pick end one as cancelled", "[promise][scope]") {
  test_loop loop(options_of_run());
  const auto by_token = []() -> promise<std::string> {
    fermata::cancel_source source;
    promise<std::string> end = waits_for(fermata::with_cancel(source.token(), endless()));
    source.cancel();
    co_return co_await end;
  };
  CHECK(loop.run(by_token) == "cancelled");
  const auto raced = []() -> promise<bool> {
    promise<> loser = endless();
    promise<> first = fermata::pick(loser, fermata::sleep_for(1ms));
    co_await first;
    co_return fermata::is_cancelled(loser.error());
  };
  CHECK(loop.run(raced));
}

TEST_CASE("scope: the reason comes from whoever cancels it", "[promise][scope]") {
  CHECK(reason_of([](scope& s) {
          s.fork([&s] { return cancels(s, "enough"); });
          return starts_endless(s);
        }) == "cancelled: enough");
  CHECK(reason_of([](scope& s) {
          s.fork([] { return fermata::never(); });
          s.cancel("I say so");
          return ready();
        }) == "cancelled: I say so");
  CHECK(reason_of([](scope&) { return fermata::rejected<>(fermata::cancelled("me")); }) ==
        "cancelled: me");
}

TEST_CASE("scope: what a cancelled one does not start counts as cut short", "[promise][scope]") {
  bool began = false;
  const auto child = [&began] {
    began = true;
    return ready();
  };
  CHECK(reason_of([&](scope& s) {
          s.cancel("early");
          s.fork(child);
          return ready();
        }) == "cancelled: early");
  CHECK(reason_of([&](scope& s) {
          s.cancel("early");
          promise<> p = s.fork_promise(child);
          static_cast<void>(p.error());
          return ready();
        }) == "cancelled: early");
  CHECK(reason_of([&](scope& s) {
          s.cancel("early");
          s.fork_daemon(child);
          return ready();
        }) == "went on");
  CHECK_FALSE(began);
}

TEST_CASE("scope: a child that cancels it and leaves at once is cut short", "[promise][scope]") {
  CHECK(reason_of([](scope& s) {
          s.fork([&s]() -> promise<> {
            s.cancel("at once");
            throw fermata::cancelled();
          });
          return ready();
        }) == "cancelled: at once");
}

TEST_CASE("scope: work that ends in spite of a cancel is done", "[promise][scope]") {
  bool first = false;
  bool second = false;
  CHECK(end_of([&](scope& s) {
          s.fork([&] { return finishes_all_the_same(first); });
          s.fork([&] { return finishes_all_the_same(second); });
          return ready();
        }) == "went on");
  CHECK((first && second));
  CHECK(reason_of([](scope& s) {
          s.cancel("nobody is left to hear it");
          return ready();
        }) == "went on");
}

TEST_CASE("scope: a child's own cancelled is no failure", "[promise][scope]") {
  CHECK(reason_of([](scope& s) {
          s.fork([]() -> promise<> { throw fermata::cancelled("mine"); });
          s.fork([] { return fermata::sleep_for(1ms).map([] { throw fermata::cancelled(); }); });
          promise<> p = s.fork_promise([] { return fermata::never(); });
          fermata::cancel(p);
          return ready();
        }) == "went on");
}

TEST_CASE("scope: daemons that it cancels at its end are its success", "[promise][scope]") {
  bool done = false;
  const auto body = [&](scope& s) {
    s.fork_daemon([] { return fermata::never(); });
    s.fork_daemon([&] { return finishes_all_the_same(done); });
    return fermata::sleep_for(4ms);  // the cancel comes while they end
  };
  CHECK(end_of(body) == "went on");
  CHECK(done);
}

TEST_CASE("scope: a body that awaits a cancelled one does not go on", "[promise][scope]") {
  test_loop loop(options_of_run());
  bool went_on = false;
  const auto run = [&] {
    const auto outer = [&](scope&) -> promise<> {
      promise<> inner = endless();
      co_await inner;
      went_on = true;
    };
    return fermata::with_timeout(5ms, scope::run(outer));
  };
  CHECK_THROWS_WITH(loop.run(run), "timed out after 5 ms");
  CHECK_FALSE(went_on);
}
