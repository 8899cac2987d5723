// SPDX-License-Identifier: MIT
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/combine.hpp>
#include <fermata/promise/executor.hpp>
#include <fermata/promise/pause.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace fermata::testing;
using fermata::cancel;
using fermata::event_loop;
using fermata::executor;
using fermata::executor_options;
using fermata::helping;
using fermata::is_cancelled;
using fermata::promise;

namespace {

executor_options with(std::size_t threads, helping helps = helping::no) {
  executor_options o;
  o.threads = threads;
  o.helps = helps;
  o.when = policy_of_run();
  return o;
}

promise<unsigned> fib(unsigned n) {
  co_await fermata::maybe_pause();
  if (n < 2) co_return n;
  auto a = fib(n - 1);
  auto b = fib(n - 2);
  const unsigned x = co_await std::move(a);
  const unsigned y = co_await std::move(b);
  co_return x + y;
}

// Stays until it is let go, and counts who is inside.
struct room {
  std::atomic<int> inside = 0;
  std::atomic<int> most = 0;
  std::atomic<bool> open = false;

  promise<> stay() {
    const int now = ++inside;
    int seen = most;
    while (seen < now && !most.compare_exchange_weak(seen, now)) {
    }
    while (!open) co_await fermata::pause();
    --inside;
  }
};

promise<> until(const std::atomic<int>& n, int wanted) {
  while (n != wanted) co_await fermata::pause();
}

promise<std::thread::id> where() {
  co_await fermata::pause();
  co_return std::this_thread::get_id();
}

promise<> until_settled(promise<> p) {
  while (p.is_pending()) co_await fermata::pause();
}

}  // namespace

TEST_CASE("an executor runs jobs on its threads and brings results and errors back",
          "[promise][executor]") {
  event_loop loop(options_of_run());
  executor pool(with(2));
  CHECK(loop.run([&] { return pool.submit([] { return fib(12); }); }) == 144);
  CHECK(loop.run([&] { return pool.submit(where); }) != std::this_thread::get_id());
  CHECK_THROWS_WITH(loop.run([&] {
    return pool.submit([] { return fermata::rejected(std::runtime_error("rejected")); });
  }),
                    "rejected");
  CHECK_THROWS_WITH(loop.run([&] {
    return pool.submit([]() -> promise<> { throw std::runtime_error("thrown"); });
  }),
                    "thrown");
  CHECK_THROWS_WITH(loop.run([&] { return pool.submit(where, 0); }),
                    "the weight of a job is not within 1 to 100");
  CHECK_THROWS_WITH(loop.run([&] { return pool.submit(where, 101); }),
                    "the weight of a job is not within 1 to 100");
  CHECK(pool.counts().running == 0);
  CHECK_THROWS_WITH(executor(with(0)), "cannot make an executor without threads or helping");
}

TEST_CASE("jobs of an executor have a thread each, and wait where there is none",
          "[promise][executor]") {
  event_loop loop(options_of_run());
  executor pool(with(2));
  room r;
  loop.run([&]() -> promise<> {
    std::vector<promise<>> jobs;
    for (int i = 0; i < 6; ++i) jobs.push_back(pool.submit([&r] { return r.stay(); }));
    co_await until(r.inside, 2);
    CHECK(pool.counts().running == 2);
    CHECK(pool.counts().waiting == 4);
    const bool none = !pool.try_submit([] { return fermata::ready(); }).has_value();
    CHECK(none);
    r.open = true;
    promise<> end = fermata::join(std::move(jobs));
    co_await end;
  });
  CHECK(r.most == 2);
  CHECK(pool.counts().running == 0);
}

TEST_CASE("light jobs of an executor share a thread", "[promise][executor]") {
  event_loop loop(options_of_run());
  executor pool(with(1));
  room r;
  loop.run([&]() -> promise<> {
    std::vector<promise<>> jobs;
    for (int i = 0; i < 10; ++i) jobs.push_back(pool.submit([&r] { return r.stay(); }, 30));
    co_await until(r.inside, 3);
    CHECK(pool.counts().running == 3);
    CHECK(pool.counts().waiting == 7);
    jobs.push_back(pool.submit([&r] { return r.stay(); }, 10));  // fits, and overtakes nobody
    CHECK(pool.counts().waiting == 8);
    r.open = true;
    promise<> end = fermata::join(std::move(jobs));
    co_await end;
  });
  CHECK(r.most <= 3);
}

TEST_CASE("the loop of an executor helps where the threads are full, in slices",
          "[promise][executor]") {
  event_loop loop(options_of_run());
  executor pool(with(1, helping::yes));
  room r;
  loop.run([&]() -> promise<> {
    promise<> away = pool.submit([&r] { return r.stay(); });
    co_await until(r.inside, 1);
    CHECK(pool.counts().helped == 0);
    auto here = pool.submit(where);
    CHECK(pool.counts().helped == 1);
    const auto id = co_await std::move(here);
    CHECK(id == std::this_thread::get_id());
    CHECK(pool.counts().helped == 0);
    r.open = true;
    co_await away;
  });
  executor alone(with(0, helping::yes));
  CHECK(loop.run([&] { return alone.submit([] { return fib(10); }); }) == 55);
}

TEST_CASE("a cancelled job of an executor is over when its promise has settled",
          "[promise][executor]") {
  event_loop loop(options_of_run());
  executor pool(with(1));
  room r;
  std::atomic<bool> ran = false;
  loop.run([&]() -> promise<> {
    promise<> runs = pool.submit([&r]() -> promise<> {
      return r.stay().finalize([&r] {
        --r.inside;
        return fermata::ready();
      });
    });
    promise<> waits = pool.submit([&ran] {
      ran = true;
      return fermata::ready();
    });
    co_await until(r.inside, 1);
    cancel(waits);
    CHECK(pool.counts().waiting == 0);
    co_await until_settled(waits);
    CHECK(is_cancelled(waits.error()));
    cancel(runs);
    CHECK(runs.is_pending());
    co_await until_settled(runs);
    CHECK(r.inside == 0);
    CHECK(is_cancelled(runs.error()));
  });
  CHECK_FALSE(ran);
  CHECK(pool.counts().running == 0);
}

TEST_CASE("an executor that ends rejects what runs and what waits", "[promise][executor]") {
  event_loop loop(options_of_run());
  auto pool = std::make_unique<executor>(with(1));
  room r;
  loop.run([&]() -> promise<> {
    promise<> runs = pool->submit([&r] { return r.stay(); });
    promise<> waits = pool->submit([&r] { return r.stay(); });
    co_await until(r.inside, 1);
    pool.reset();
    auto first = waits_for(runs);
    const std::string one = co_await std::move(first);
    CHECK(one == "cannot go on: the event loop has ended");
    auto second = waits_for(waits);
    const std::string other = co_await std::move(second);
    CHECK(other == "cannot go on: the event loop has ended");
  });
}

TEST_CASE("an executor runs a thousand jobs, each once", "[promise][executor]") {
  event_loop loop(options_of_run());
  executor pool(with(2, helping::yes));
  std::atomic<int> ran = 0;
  loop.run([&] {
    std::vector<promise<>> jobs;
    for (int i = 0; i < 1000; ++i) {
      jobs.push_back(pool.submit(
          [&ran] {
            ++ran;
            return fermata::ready();
          },
          1 + static_cast<unsigned>(i) % 100));
    }
    return fermata::join(std::move(jobs));
  });
  CHECK(ran == 1000);
}
