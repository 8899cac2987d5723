// SPDX-License-Identifier: MIT
// What happens to many at once is done in steps of 256, and what is kept of a long way is bounded.
#include "support/policy.hpp"

#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace fermata::testing;
using fermata::make_promise;
using fermata::promise;
using fermata::ready;
using fermata::test_loop;

namespace {

constexpr std::size_t batch = 256;

promise<> adds_to(promise<int> p, int& sum) {
  const int value = co_await p;
  sum += value;
}

// A list whose links are values of promises, as one that is read item by item.
struct item {
  explicit item(std::size_t& d) : dropped(d) {}
  ~item() { ++dropped; }
  std::size_t& dropped;
  promise<std::unique_ptr<item>> next;
};

promise<> leaves_and_goes_on(promise<int> shared, std::string& order) {
  try {
    co_await shared;
  } catch (const fermata::cancelled&) {
    order += "left, ";
  }
  promise<> rest = fermata::sleep_for(std::chrono::milliseconds(1));
  co_await rest;
  order += "went on";
}

}  // namespace

TEST_CASE("resolve_now runs 256 waiters inside the call, the others in further steps",
          "[promise][core]") {
  test_loop loop(options_of_run());
  auto [p, r] = make_promise<int>();
  int sum = 0;
  std::vector<promise<>> tasks;
  loop.run([&] {
    for (int i = 0; i < 1000; ++i) tasks.push_back(adds_to(p, sum));
  });
  loop.run([&, &settle = r] { settle.resolve_now(1); });
  CHECK(sum == batch);
  loop.run([&] { return tasks.back(); });
  CHECK(sum == 1000);
}

TEST_CASE("a list of promises that hold each other is released in steps", "[promise][core]") {
  test_loop loop(options_of_run());
  constexpr std::size_t many = 2000;
  std::size_t dropped = 0;
  const auto drop_all = [&] {
    promise<std::unique_ptr<item>> head = ready(std::unique_ptr<item>());
    for (std::size_t i = 0; i < many; ++i) {
      auto one = std::make_unique<item>(dropped);
      one->next = std::move(head);
      head = ready(std::move(one));
    }
  };
  loop.run(drop_all);
  CHECK(dropped <= 2 * batch);
  const auto until_dropped = [&]() -> promise<> {
    while (dropped < many) co_await fermata::pause();
  };
  loop.run(until_dropped);
  CHECK(dropped == many);
}

TEST_CASE("async_trace of a rejection that came a long way has 64 sites", "[promise][core]") {
  test_loop loop(options_of_run());
  promise<> p = fermata::rejected(fermata::error("no luck"));
  for (int i = 0; i < 200; ++i) p = std::move(p).map([] {});
  std::string told;
  const auto run = [&] {
    return p.catch_([&](std::exception_ptr) {
      told = fermata::async_trace(p);
      return ready();
    });
  };
  loop.run(run);
  CHECK(told.starts_with("rejected: no luck\n"));
  CHECK(std::count(told.begin(), told.end(), '\n') == 65);
}

TEST_CASE("a cancelled promise that nobody looks at is no rejection that nobody saw",
          "[promise][core]") {
  test_loop loop(options_of_run());
  {
    const promise<> p = fermata::sleep_for(std::chrono::seconds(1));
    const promise<> mapped = p.map([] {});
    fermata::cancel(mapped);
  }
  loop.run([] { return fermata::sleep_for(std::chrono::milliseconds(1)); });
  CHECK(loop.metrics().unobserved_rejections == 0);
}

TEST_CASE("a task that has left a wait because of a cancel is not cancelled at its next one",
          "[promise][core]") {
  test_loop loop(options_of_run());
  auto [shared, settle] = make_promise<int>();
  int sum = 0;
  std::string order;
  const promise<> other = adds_to(shared, sum);
  const promise<> task = leaves_and_goes_on(shared, order);
  fermata::cancel(task);
  loop.run([&] { return task; });
  CHECK(order == "left, went on");
  settle.resolve(1);
  loop.run([&] { return other; });
  CHECK(sum == 1);
}
