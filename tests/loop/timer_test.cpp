// SPDX-License-Identifier: MIT
#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/timer.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

using namespace std::chrono_literals;
using fermata::event_loop;
using fermata::time_point;
using fermata::timer_heap;
using fermata::timer_node;

namespace {

class numbered final : public timer_node {
public:
  void run() noexcept override {}
  void lost() noexcept override { ++times_lost; }
  std::size_t number = 0;
  time_point deadline;
  int times_lost = 0;
};

std::vector<std::size_t> numbers_due(timer_heap& heap, time_point now) {
  std::vector<std::size_t> due;
  while (timer_node* n = heap.pop_due(now)) due.push_back(static_cast<numbered*>(n)->number);
  return due;
}

}  // namespace

TEST_CASE(
    "timers fire by deadline, equal ones in the order they were started, cancelled ones never",
    "[loop][timer]") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    timer_heap heap;
    std::vector<std::unique_ptr<numbered>> all(random() % 100 + 1);
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i] = std::make_unique<numbered>();
      all[i]->number = i;
      all[i]->deadline = time_point(std::chrono::nanoseconds(random() % 20));
      heap.start(*all[i], all[i]->deadline);
    }
    std::vector<const numbered*> left;
    for (const auto& n : all) {
      if (random() % 3 == 0) {
        heap.cancel(*n);
      } else {
        left.push_back(n.get());
      }
    }
    std::stable_sort(left.begin(), left.end(), [](const numbered* a, const numbered* b) {
      return a->deadline < b->deadline;
    });
    std::vector<std::size_t> expected;
    for (const numbered* n : left) expected.push_back(n->number);
    CHECK(heap.size() == left.size());
    CHECK(heap.earliest() == (left.empty() ? time_point::max() : left.front()->deadline));
    CHECK(numbers_due(heap, time_point(20ns)) == expected);
    CHECK(heap.empty());
  }
}

TEST_CASE("timer that is started again has its new deadline", "[loop][timer]") {
  timer_heap heap;
  numbered a;
  numbered b;
  b.number = 1;
  heap.start(a, time_point(1ns));
  heap.start(b, time_point(2ns));
  heap.start(a, time_point(3ns));
  CHECK(numbers_due(heap, time_point(2ns)) == std::vector<std::size_t>{1});
  CHECK(numbers_due(heap, time_point(3ns)) == std::vector<std::size_t>{0});
}

TEST_CASE("timers that still wait hear once that their loop has ended", "[loop][timer]") {
  numbered a;
  numbered b;
  {
    event_loop loop;
    loop.run([&] {
      loop.start(a, loop.after(1h));
      loop.start(b, loop.after(2h));
    });
  }
  CHECK(a.times_lost == 1);
  CHECK(b.times_lost == 1);
  CHECK_FALSE(a.is_waiting());
}

TEST_CASE("timers that are due at once fire in steps of 256", "[loop][timer]") {
  event_loop loop;
  std::vector<numbered> all(1000);
  for (numbered& n : all) loop.start(n, loop.now());
  std::vector<std::uint64_t> fired;
  for (int i = 0; i < 4; ++i) {
    loop.step();
    fired.push_back(loop.metrics().timers_fired);
  }
  CHECK(fired == std::vector<std::uint64_t>{256, 512, 768, 1000});
}
