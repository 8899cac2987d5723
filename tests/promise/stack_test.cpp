// SPDX-License-Identifier: MIT
// A million of each, in constant stack: the ctest of the asan build runs them at -O0.
#include "support/policy.hpp"

#include <fermata/promise/pause.hpp>
#include <fermata/promise/promise.hpp>

#include <catch2/catch.hpp>
#include <sys/resource.h>

using namespace fermata::testing;
using fermata::event_loop;
using fermata::promise;
using fermata::ready;

namespace {

constexpr int million = 1'000'000;

promise<int> by_bind(int n) {
  if (n == 0) return ready(7);
  return ready(n).bind([](int k) { return by_bind(k - 1); });
}
promise<int> by_tail(int n) {
  if (n == 0) co_return 9;
  co_return co_await fermata::tail(by_tail(n - 1));
}
promise<int> by_pausing_tail(int n) {
  if (n == 0) co_return 9;
  co_await fermata::pause();
  co_return co_await fermata::tail(by_pausing_tail(n - 1));
}
promise<int> by_await(int n) {
  if (n == 0) co_return 11;
  auto p = by_await(n - 1);
  const int inner = co_await p;
  co_return inner;
}
promise<int> one() { co_return 1; }
promise<int> settled_awaits(int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) {
    auto p = one();
    sum += co_await p;
  }
  co_return sum;
}
promise<int> chain_of(promise<int> p, int n) {
  for (int i = 0; i < n; ++i) {
    p = p.map([](int v) { return v + 1; });
  }
  return p;
}
long peak_rss_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

}  // namespace

TEST_CASE("stack: a million binds on a pending root that is then resolved", "[promise][stack]") {
  event_loop loop(options_of_run());
  auto [root, r] = fermata::make_promise<int>();
  promise<int> end = chain_of(root, million);
  const auto run = [&, &settle = r] {
    settle.resolve(0);
    return end;
  };
  CHECK(loop.run(run) == million);
}

TEST_CASE("stack: a million binds on one root", "[promise][stack]") {
  event_loop loop(options_of_run());
  auto [root, r] = fermata::make_promise<int>();
  int count = 0;
  promise<> last;
  for (int i = 0; i < million; ++i) last = root.map([&](int) { ++count; });
  const auto run = [&, &settle = r] {
    settle.resolve(0);
    return last;
  };
  loop.run(run);
  CHECK(count == million);
}

TEST_CASE("stack: recursion through bind a million deep", "[promise][stack]") {
  event_loop loop(options_of_run());
  CHECK(loop.run([] { return by_bind(million); }) == 7);
}

TEST_CASE("stack: recursion through await a million deep", "[promise][stack]") {
  event_loop loop(options_of_run());
  CHECK(loop.run([] { return by_await(million); }) == 11);
}

TEST_CASE("stack: a loop of a million awaits of settled promises", "[promise][stack]") {
  event_loop loop(options_of_run());
  CHECK(loop.run([] { return settled_awaits(million); }) == million);
}

TEST_CASE("stack: release of an unresolved chain of a million", "[promise][stack]") {
  event_loop loop(options_of_run());
  {
    auto [root, r] = fermata::make_promise<int>();
    const promise<int> end = chain_of(root, million);
    CHECK(end.is_pending());
  }
  promise<int> kept;
  {
    auto [root, r] = fermata::make_promise<int>();
    kept = chain_of(root, million);
  }
  CHECK_THROWS_AS(loop.run([&] { return kept; }), fermata::broken_promise);
}

TEST_CASE("stack: cancel of a chain of a million", "[promise][stack]") {
  event_loop loop(options_of_run());
  const promise<int> end = chain_of(fermata::never<int>(), million);
  const auto run = [&] {
    fermata::cancel(end);
    return end;
  };
  CHECK_THROWS_AS(loop.run(run), fermata::cancelled);
}

TEST_CASE("stack: recursion through tail a million deep in constant memory", "[promise][stack]") {
  event_loop loop(options_of_run());
  loop.run([] { return by_tail(1000); });
  const long before = peak_rss_kib();
  CHECK(loop.run([] { return by_tail(million); }) == 9);
  CHECK(loop.run([] { return by_pausing_tail(million / 10); }) == 9);
#ifndef FERMATA_SANITIZED  // a sanitizer keeps what was freed for a while
  CHECK(peak_rss_kib() - before < 4096);
#else
  static_cast<void>(before);
#endif
}
