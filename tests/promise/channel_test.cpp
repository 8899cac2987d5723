// SPDX-License-Identifier: MIT
#include "support/policy.hpp"

#include <fermata/promise/channel.hpp>
#include <fermata/promise/combine.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <string>

using namespace fermata::testing;
using fermata::channel;
using fermata::promise;
using fermata::test_loop;

namespace {

promise<> produce(fermata::channel_writer<std::unique_ptr<int>> w, int n, std::size_t& longest) {
  for (int i = 0; i < n; ++i) {
    auto p = w.send(std::make_unique<int>(i));
    longest = std::max(longest, w.size());
    co_await p;
  }
}
promise<std::vector<int>> consume(fermata::channel_reader<std::unique_ptr<int>> r) {
  std::vector<int> got;
  for (;;) {
    auto p = r.receive();
    auto item = co_await std::move(p);
    if (!item) break;
    got.push_back(**item);
  }
  co_return got;
}

}  // namespace

TEST_CASE("channel carries every item in order within its capacity", "[promise][channel]") {
  const std::size_t capacity = GENERATE(0, 1, 3, 1000);
  test_loop loop(options_of_run());
  std::size_t longest = 0;
  const auto run = [&] {
    auto [w, r] = channel<std::unique_ptr<int>>(capacity);
    auto end = produce(std::move(w), 500, longest);
    auto got = consume(std::move(r));
    return fermata::both(end, got);
  };
  const auto result = loop.run(run);
  REQUIRE(result.second.size() == 500);
  for (int i = 0; i < 500; ++i) REQUIRE(result.second[static_cast<std::size_t>(i)] == i);
  CHECK(longest <= capacity);
}

TEST_CASE("channel: with the last reader gone sends are rejected", "[promise][channel]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    auto [w, r] = channel<int>(0);
    promise<> waiting = w.send(1);
    r = {};
    CHECK(w.send(2).is_rejected());
    return waiting;
  };
  CHECK_THROWS_AS(loop.run(run), fermata::channel_closed);
}

TEST_CASE("channel: with the last writer gone readers get what is left, then the end",
          "[promise][channel]") {
  test_loop loop(options_of_run());
  auto [w, r] = channel<int>(2);
  auto copy = w;
  CHECK_FALSE(w.send(1).is_pending());
  w = {};
  CHECK_FALSE(copy.send(2).is_pending());
  copy = {};
  CHECK(loop.run([&, &reader = r] { return reader.receive(); }) == 1);
  CHECK(loop.run([&, &reader = r] { return reader.receive(); }) == 2);
  CHECK(loop.run([&, &reader = r] { return reader.receive(); }) == std::nullopt);
}

TEST_CASE("channel: a cancelled waiter leaves no hole and loses no item", "[promise][channel]") {
  test_loop loop(options_of_run());
  auto [w, r] = channel<int>(0);
  promise<std::optional<int>> first = r.receive();
  promise<std::optional<int>> second = r.receive();
  fermata::cancel(first);
  CHECK(first.is_rejected());
  promise<> sent = w.send(7);
  CHECK_FALSE(sent.is_pending());
  CHECK(second.peek()->value() == 7);
  promise<> never_sent = w.send(8);
  promise<> after = w.send(9);
  fermata::cancel(never_sent);
  CHECK(loop.run([&, &reader = r] { return reader.receive(); }) == 9);
  CHECK(after.is_resolved());
}
