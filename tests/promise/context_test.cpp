// SPDX-License-Identifier: MIT
// Values that follow a task.
#include "support/policy.hpp"

#include <fermata/promise/context.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <string>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::context_key;
using fermata::promise;
using fermata::test_loop;

namespace {

const context_key<std::string> request("request");
const context_key<int> depth("depth");

std::string now() {
  const std::string* r = request.find();
  const int* d = depth.find();
  return (r == nullptr ? "-" : *r) + (d == nullptr ? "" : std::to_string(*d));
}

promise<std::string> seen() {
  std::string text = now() + " ";
  co_await fermata::pause();
  text += now() + " ";
  co_await fermata::sleep_for(1ms);
  co_return text + now();
}

}  // namespace

TEST_CASE("context_key: nothing is bound outside", "[promise][context]") {
  test_loop loop(options_of_run());
  CHECK(request.find() == nullptr);
  CHECK_THROWS_WITH(request.get(), "no value is bound to the context key request");
  CHECK(loop.run(seen) == "- - -");
}

TEST_CASE("context_key: a value flows through awaits, binds and forks, and no further",
          "[promise][context]") {
  test_loop loop(options_of_run());
  const auto run = []() -> promise<std::string> {
    auto inside = request.with("r1", [] { return seen(); });
    const std::string outside = now();
    const std::string waited = co_await inside;
    auto bound = request.with(
        "r2", [] { return fermata::sleep_for(1ms).bind([] { return fermata::ready(now()); }); });
    const std::string b = co_await bound;
    std::string forked;
    const auto body = [&forked](fermata::scope& s) {
      s.fork([&forked] { return fermata::sleep_for(1ms).map([&forked] { forked = now(); }); });
      return fermata::ready();
    };
    auto scoped = request.with("r3", [&body] { return fermata::scope::run(body); });
    co_await scoped;
    co_return outside + "|" + waited + "|" + b + "|" + forked + "|" + now();
  };
  CHECK(loop.run(run) == "-|r1 r1 r1|r2|r3|-");
}

TEST_CASE("context_key: the innermost binding counts, other keys stay", "[promise][context]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    return request.with("a", [] {
      return depth.with(
          1, [] { return request.with("b", [] { return depth.with(2, [] { return seen(); }); }); });
    });
  };
  CHECK(loop.run(run) == "b2 b2 b2");
}

TEST_CASE("context_key: a recursion that binds anew keeps one value", "[promise][context]") {
  test_loop loop(options_of_run());
  const auto value = std::make_shared<const int>(7);
  struct deeper {
    static promise<int> go(int n) {
      if (n == 0) return fermata::ready(depth.get());
      return depth.with(n, [n] { return go(n - 1); });
    }
  };
  CHECK(loop.run([] { return deeper::go(40); }) == 1);
  const auto shared = [&] {
    return depth.with(value, [&] { return fermata::ready(&depth.get()); });
  };
  CHECK(loop.run(shared) == value.get());  // not copied
  CHECK(value.use_count() == 1);
}

TEST_CASE("context_key: names, policies and classes keep the values", "[promise][context]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    return request.with("a", [] {
      return fermata::named("task", [] {
        return fermata::in_class(fermata::latency_class::bulk, [] { return seen(); });
      });
    });
  };
  CHECK(loop.run(run) == "a a a");
}

TEST_CASE("context_key: a detached function reads what its task is bound to",
          "[promise][context]") {
  test_loop loop(options_of_run());
  const auto run = []() -> promise<std::string> {
    auto bound = request.with("far", [] { return fermata::detach([] { return now(); }); });
    std::string seen_there = co_await bound;
    auto free = fermata::detach([] { return now(); });  // perhaps on the same thread
    seen_there += " " + co_await free;
    co_return seen_there;
  };
  CHECK(loop.run(run) == "far -");
}
