// SPDX-License-Identifier: MIT
#include "support/policy.hpp"

#include <fermata/promise/pause.hpp>
#include <fermata/promise/remote_resolver.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <semaphore>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace fermata::testing;
using fermata::cancel;
using fermata::event_loop;
using fermata::is_cancelled;
using fermata::loop_closed;
using fermata::make_remote_promise;
using fermata::make_remote_task;
using fermata::promise;
using fermata::remote_resolver;

namespace {

promise<> until_settled(promise<> p) {
  while (p.is_pending()) co_await fermata::pause();
}

struct picky {
  explicit picky(int n) : value(n) {
    if (n < 0) throw std::runtime_error("negative");
  }
  int value;
};

}  // namespace

TEST_CASE("a remote resolver settles a promise from another thread", "[promise][remote]") {
  event_loop loop(options_of_run());
  auto made = make_remote_promise<std::unique_ptr<int>>();
  std::thread other([end = std::move(made.settle)]() mutable {
    CHECK(end.is_waiting());
    CHECK(end.resolve(std::make_unique<int>(5)));
    CHECK_FALSE(end);
    CHECK_THROWS_WITH(end.resolve(nullptr), "a promise is resolved twice");
  });
  other.join();
  const auto value = loop.run([&] { return std::move(made.future); });
  CHECK(*value == 5);
  auto failing = make_remote_promise();
  std::thread([end = std::move(failing.settle)]() mutable {
    end.reject(std::make_exception_ptr(std::runtime_error("no")));
  }).join();
  CHECK_THROWS_WITH(loop.run([&] { return failing.future; }), "no");
}

TEST_CASE("a remote resolver that is dropped rejects with broken_promise", "[promise][remote]") {
  event_loop loop(options_of_run());
  auto made = make_remote_promise();
  auto replaced = make_remote_promise();
  std::thread([end = std::move(made.settle), next = std::move(replaced.settle)]() mutable {
    end = std::move(next);
  }).join();
  CHECK_THROWS_WITH(loop.run([&] { return made.future; }),
                    "a promise was given up: its resolver is gone");
  CHECK_THROWS_WITH(loop.run([&] { return replaced.future; }),
                    "a promise was given up: its resolver is gone");
}

TEST_CASE("a value whose constructor throws leaves the remote resolver as it was",
          "[promise][remote]") {
  event_loop loop(options_of_run());
  auto made = make_remote_promise<picky>();
  CHECK_THROWS_WITH(made.settle.resolve(-1), "negative");
  CHECK(made.settle.resolve(1));
  CHECK(loop.run([&] { return std::move(made.future); }).value == 1);
}

TEST_CASE("a remote promise that is cancelled is rejected at once and its other end told",
          "[promise][remote]") {
  event_loop loop(options_of_run());
  auto made = make_remote_promise<int>();
  const std::stop_token stop = made.settle.stop_token();
  loop.run([&] { cancel(made.future); });
  CHECK(is_cancelled(made.future.error()));
  CHECK(stop.stop_requested());
  CHECK_FALSE(made.settle.is_waiting());
  CHECK(made.settle.resolve(1));  // delivered to nobody
  loop.step();
  loop.step();
}

TEST_CASE("a remote task that is cancelled settles when its other end has been used",
          "[promise][remote]") {
  event_loop loop(options_of_run());
  auto made = make_remote_task<>();
  std::thread other([end = std::move(made.settle)]() mutable {
    std::binary_semaphore stopped(0);
    const std::stop_callback told(end.stop_token(), [&] { stopped.release(); });
    stopped.acquire();
    end.reject(std::make_exception_ptr(fermata::cancelled()));
  });
  loop.run([&] {
    cancel(made.future);
    CHECK(made.future.is_pending());
    return until_settled(made.future);
  });
  other.join();
  CHECK(is_cancelled(made.future.error()));
}

TEST_CASE("a remote resolver is harmless after the loop has ended", "[promise][remote]") {
  remote_resolver<int> used;
  remote_resolver<int> dropped;
  promise<int> p;
  std::stop_token stop;
  {
    event_loop loop(options_of_run());
    auto a = make_remote_promise<int>();
    auto b = make_remote_task<int>();
    p = a.future;
    used = std::move(a.settle);
    dropped = std::move(b.settle);
    stop = used.stop_token();
  }
  CHECK_THROWS_AS(promise<int>(p).get(), loop_closed);
  CHECK(stop.stop_requested());
  CHECK_FALSE(used.is_waiting());
  CHECK_FALSE(used.resolve(1));
}

TEST_CASE("remote resolvers race with the end of their loop", "[promise][remote]") {
  for (int round = 0; round < 50; ++round) {
    std::vector<remote_resolver<int>> ends;
    std::vector<promise<int>> kept;
    auto loop = std::make_unique<event_loop>(options_of_run());
    for (int i = 0; i < 20; ++i) {
      auto made = make_remote_promise<int>();
      ends.push_back(std::move(made.settle));
      kept.push_back(std::move(made.future));
    }
    std::thread other([mine = std::move(ends)]() mutable {
      for (std::size_t i = 0; i < mine.size(); ++i) {
        if (i % 3 != 0) mine[i].resolve(static_cast<int>(i));
      }
      mine.clear();
    });
    if (round % 2 == 0) loop->step();
    loop.reset();
    other.join();
    for (const auto& p : kept) CHECK_FALSE(p.is_pending());
    for (const auto& p : kept) static_cast<void>(p.error());
  }
}
