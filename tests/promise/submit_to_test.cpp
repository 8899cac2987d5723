// SPDX-License-Identifier: MIT
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/combine.hpp>
#include <fermata/promise/loop_thread.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/submit_to.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace fermata::testing;
using fermata::cancel;
using fermata::event_loop;
using fermata::is_cancelled;
using fermata::loop_closed;
using fermata::loop_thread;
using fermata::mailbox_ptr;
using fermata::promise;
using fermata::submit_to;

namespace {

promise<std::unique_ptr<int>> add_one(std::unique_ptr<int> n) {
  co_await fermata::pause();
  ++*n;
  co_return n;
}

promise<> until_settled(promise<> p) {
  while (p.is_pending()) co_await fermata::pause();
}

// Waits until it is cancelled, and says when that has happened.
promise<> until_cancelled(std::atomic<int>& begun, std::atomic<int>& over) {
  ++begun;
  try {
    promise<> wait = fermata::never();
    co_await wait;
  } catch (...) {
  }
  co_await fermata::pause();  // an end that takes its time
  ++over;
  throw fermata::cancelled();
}

// n calls from here to there, each of which calls back.
promise<int> calls(mailbox_ptr there, mailbox_ptr here, int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) {
    auto call = submit_to(there, [here, i] { return submit_to(here, [i] { return i; }); });
    sum += co_await std::move(call);
  }
  co_return sum;
}

const std::string closed = "cannot go on: the event loop has ended";

}  // namespace

TEST_CASE("submit_to runs on the other loop and brings values and promises back",
          "[promise][submit_to]") {
  loop_thread other(options_of_run());
  event_loop loop(options_of_run());
  const auto id = loop.run(
      [&] { return submit_to(other.letters(), [] { return std::this_thread::get_id(); }); });
  CHECK(id == other.id());
  auto n = loop.run([&] {
    return other.submit([m = std::make_unique<int>(1)]() mutable { return add_one(std::move(m)); });
  });
  CHECK(*n == 2);
  bool ran = false;
  loop.run([&] { return other.submit([&ran] { ran = true; }); });
  CHECK(ran);
  CHECK(loop.run([&] { return submit_to(loop, [] { return 3; }); }) == 3);
}

TEST_CASE("async_trace names the line of a call to another loop", "[promise][submit_to]") {
  event_loop there(options_of_run());
  event_loop loop(options_of_run());
  const auto line = std::to_string(__LINE__ + 1);
  const promise<int> call = submit_to(there, [] { return 1; });
  CHECK(fermata::async_trace(call) ==
        "pending\n  waits at promise/submit_to_test.cpp:" + line + "\n");
}

TEST_CASE("exceptions cross from loop to loop", "[promise][submit_to]") {
  loop_thread other(options_of_run());
  event_loop loop(options_of_run());
  CHECK_THROWS_WITH(
      loop.run([&] { return other.submit([] { throw std::runtime_error("thrown"); }); }), "thrown");
  CHECK_THROWS_WITH(loop.run([&] {
    return other.submit([] { return fermata::rejected(std::runtime_error("rejected")); });
  }),
                    "rejected");
  CHECK_THROWS_WITH(loop.run([&] {
    return other.submit([] {
      auto made = fermata::make_promise();
      return made.future;  // its resolver is dropped
    });
  }),
                    "a promise was given up: its resolver is gone");
}

TEST_CASE("a submitted function is destroyed on the loop that ran it", "[promise][submit_to]") {
  loop_thread other(options_of_run());
  event_loop loop(options_of_run());
  std::atomic<bool> there = false;
  std::shared_ptr<int> last(new int(1), [&](int* p) {
    delete p;
    there = std::this_thread::get_id() == other.id();
  });
  loop.run([&] {
    return other.submit([held = std::move(last)] { return add_one(std::make_unique<int>(*held)); });
  });
  CHECK(there);
}

TEST_CASE("thousands of calls go both ways between two loops at once", "[promise][submit_to]") {
  constexpr int tasks = 20;
  constexpr int each = 100;
  loop_thread a(options_of_run());
  loop_thread b(options_of_run());
  event_loop loop(options_of_run());
  const auto all = [](mailbox_ptr there, mailbox_ptr here) {
    std::vector<promise<int>> running;
    for (int i = 0; i < tasks; ++i) running.push_back(calls(there, here, each));
    return fermata::all(std::move(running));
  };
  const auto [from_a, from_b] = loop.run([&] {
    auto p = a.submit([&] { return all(b.letters(), a.letters()); });
    auto q = b.submit([&] { return all(a.letters(), b.letters()); });
    return fermata::both(p, q);
  });
  CHECK(from_a == std::vector<int>(tasks, each * (each - 1) / 2));
  CHECK(from_b == from_a);
}

TEST_CASE("a cancel goes over, and the promise settles when it is over there",
          "[promise][submit_to]") {
  loop_thread other(options_of_run());
  event_loop loop(options_of_run());
  std::atomic<int> begun = 0;
  std::atomic<int> over = 0;
  loop.run([&]() -> promise<> {
    promise<> p = other.submit([&] { return until_cancelled(begun, over); });
    while (begun == 0) co_await fermata::pause();
    cancel(p);
    CHECK(p.is_pending());
    co_await until_settled(p);
    CHECK(over == 1);
    CHECK(is_cancelled(p.error()));
  });
}

TEST_CASE("a call that has not begun is cancelled without being called", "[promise][submit_to]") {
  loop_thread other(options_of_run());
  event_loop loop(options_of_run());
  std::binary_semaphore inside(0);
  std::binary_semaphore open(0);
  std::atomic<bool> ran = false;
  other.post([&] {
    inside.release();
    open.acquire();
  });
  inside.acquire();
  promise<> p;
  loop.run([&] {
    p = other.submit([&ran] { ran = true; });
    cancel(p);
    CHECK(p.is_pending());
    open.release();
    return until_settled(p);
  });
  CHECK(is_cancelled(p.error()));
  CHECK_FALSE(ran);
}

TEST_CASE("a call whose function has given a value settles with it, cancelled or not",
          "[promise][submit_to]") {
  loop_thread other(options_of_run());
  event_loop loop(options_of_run());
  std::binary_semaphore done(0);
  promise<int> p;
  loop.run([&] {
    p = other.submit([] { return 7; });
    other.post([&done] { done.release(); });
    done.acquire();
    cancel(p);  // the answer is on its way
  });
  CHECK(loop.run([&] { return p; }) == 7);
}

TEST_CASE("a loop that ends rejects those who wait on it, and later calls",
          "[promise][submit_to]") {
  event_loop loop(options_of_run());
  auto other = std::make_unique<loop_thread>(options_of_run());
  const mailbox_ptr there = other->letters();
  std::vector<promise<>> waiting;
  std::atomic<int> begun = 0;
  loop.run([&]() -> promise<> {
    for (int i = 0; i < 100; ++i) {
      waiting.push_back(submit_to(there, [&begun] {
        ++begun;
        return fermata::never();
      }));
    }
    while (begun < 100) co_await fermata::pause();
    other.reset();
    waiting.push_back(submit_to(there, [] {}));
    for (const promise<>& p : waiting) {
      auto how = waits_for(p);
      const std::string text = co_await std::move(how);
      CHECK(text == closed);
    }
  });
}

TEST_CASE("a loop that ends while it waits for another rejects, and asks that one to cancel",
          "[promise][submit_to]") {
  std::atomic<int> begun = 0;
  std::atomic<int> over = 0;
  loop_thread other(options_of_run());
  promise<> p;
  {
    event_loop loop(options_of_run());
    loop.run([&]() -> promise<> {
      p = other.submit([&] { return until_cancelled(begun, over); });
      while (begun == 0) co_await fermata::pause();
    });
  }
  CHECK_THROWS_AS(promise<>(p).get(), loop_closed);
  while (over == 0) std::this_thread::yield();
}

TEST_CASE("loops that end while calls cross lose none of them", "[promise][submit_to]") {
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> destroyed = 0;
    int made = 0;
    {
      auto held = [&made, &destroyed] {
        ++made;
        return std::shared_ptr<int>(new int(1), [&destroyed](int* p) {
          delete p;
          ++destroyed;
        });
      };
      loop_thread other(options_of_run());
      event_loop loop(options_of_run());
      loop.run([&] {
        for (int i = 0; i < 50; ++i) {
          static_cast<void>(other.submit([h = held()] { return fermata::never(); }));
          static_cast<void>(other.submit([h = held()] { return h; }));
        }
        if (round % 2 == 0) other.stop();
      });
    }
    CHECK(destroyed == made);
  }
}

TEST_CASE("virtual time stands still while a call is with another loop", "[promise][submit_to]") {
  loop_thread other(options_of_run());
  fermata::test_loop loop(options_of_run());
  bool fired = false;
  fermata::timer soon(loop.loop(), std::chrono::milliseconds(1), [&fired] { fired = true; });
  CHECK(loop.run([&] { return other.submit([] { return 1; }); }) == 1);
  CHECK_FALSE(fired);
}

TEST_CASE("a loop_thread reports a loop that cannot be made", "[promise][loop_thread]") {
  loop_thread ordinary(options_of_run());
  ordinary.stop();
  ordinary.stop();
  CHECK(ordinary.id() != std::this_thread::get_id());
}
