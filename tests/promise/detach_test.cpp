// SPDX-License-Identifier: MIT
#include "support/policy.hpp"

#include <fermata/promise/combine.hpp>
#include <fermata/promise/context.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/pause.hpp>

#include <catch2/catch.hpp>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using fermata::cancel;
using fermata::cancelled;
using fermata::detach;
using fermata::event_loop;
using fermata::is_cancelled;
using fermata::loop_closed;
using fermata::loop_options;
using fermata::pool_bounds;
using fermata::promise;
using fermata::timer;
using fermata::virtual_clock;

namespace {

int add(int a, int b) { return a + b; }
int fail() { throw std::runtime_error("no luck"); }

/// A job that says when it runs and ends when it is let go.
struct gate {
  std::binary_semaphore started{0};
  std::binary_semaphore open{0};
  int pass(int value) {
    started.release();
    open.acquire();
    return value;
  }
};

std::string wait_for_stop(std::stop_token stop, std::binary_semaphore& started) {
  std::binary_semaphore stopped(0);
  const std::stop_callback wake(stop, [&stopped] { stopped.release(); });
  started.release();
  stopped.acquire();
  return "stopped";
}

/// This thread on one processor, and another on a second one, where the machine gives two.
class processors_apart {
public:
  processors_apart() {
    pthread_getaffinity_np(pthread_self(), sizeof before_, &before_);
    for (std::size_t i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(i, &before_)) allowed_.push_back(i);
    }
    if (are_there()) take(allowed_[0]);
  }
  processors_apart(const processors_apart&) = delete;
  processors_apart& operator=(const processors_apart&) = delete;
  ~processors_apart() { pthread_setaffinity_np(pthread_self(), sizeof before_, &before_); }
  [[nodiscard]] bool are_there() const { return allowed_.size() > 1; }
  void take_second() const { take(allowed_[1]); }

private:
  static void take(std::size_t processor) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);
  }
  cpu_set_t before_{};
  std::vector<std::size_t> allowed_;
};

template <typename T>
promise<> until_settled(promise<T> p) {
  while (p.is_pending()) co_await fermata::pause();
}

template <typename T>
void run_until_settled(event_loop& loop, const promise<T>& p) {
  loop.run([&] { return until_settled(p); });
}

}  // namespace

TEST_CASE("jobs that wait for each other run at once, however short those before were",
          "[promise][detach]") {
  event_loop loop;
  loop.pool().set_bounds({2, 2});
  std::atomic<int> begun = 0;
  const auto meet = [&begun] {
    ++begun;
    while (begun < 2) std::this_thread::yield();
  };
  const auto round = [&]() -> promise<> {
    std::vector<promise<>> shorts;
    while (shorts.size() < 16) shorts.push_back(detach([] {}));
    promise<> all = fermata::join(std::move(shorts));
    co_await all;
    begun = 0;
    promise<> one = detach(meet);
    promise<> other = detach(meet);
    promise<> pair = fermata::join(std::move(one), std::move(other));
    co_await pair;
  };
  for (int i = 0; i < 300; ++i) loop.run(round);
  CHECK(begun == 2);
}

TEST_CASE("jobs that wait for each other run at once after their loop was left",
          "[promise][detach]") {
  event_loop loop;
  loop.pool().set_bounds({2, 2});
  for (int i = 0; i < 300; ++i) loop.run([] { return detach([] {}); });
  std::atomic<int> begun = 0;
  const auto meet = [&begun] {
    ++begun;
    while (begun < 2) std::this_thread::yield();
  };
  std::vector<promise<>> two;
  loop.run([&] {
    two.push_back(detach(meet));
    two.push_back(detach(meet));
  });
  while (begun < 2) std::this_thread::yield();
  CHECK(begun == 2);
}

TEST_CASE("a loop waits awake for jobs that were short lately", "[promise][detach]") {
  const processors_apart apart;
  if (!apart.are_there()) return;  // it would keep the jobs from running
  event_loop loop;
  loop.pool().set_bounds({1, 1});
  loop.run([&] { return detach([&apart] { apart.take_second(); }); });
  constexpr std::uint64_t jobs = 20;
  const auto in_turn = []() -> promise<> {
    for (std::uint64_t i = 0; i < jobs; ++i) {
      promise<> job = detach([] {});
      co_await job;
    }
  };
  // Without it each job wants a poll of its own; the machine may be busy, so one round will do.
  bool is_seen = false;
  for (int round = 0; round < 20'000 && !is_seen; ++round) {
    const std::uint64_t before = loop.metrics().polls;
    loop.run(in_turn);
    is_seen = loop.metrics().polls - before < jobs;
  }
  CHECK(is_seen);
}

TEST_CASE("detach gives the result of a function that runs on another thread",
          "[promise][detach]") {
  event_loop loop;
  CHECK(loop.run([] { return detach(add, 2, 3); }) == 5);
  const auto thread = loop.run([] { return detach([] { return std::this_thread::get_id(); }); });
  CHECK(thread != std::this_thread::get_id());
}

TEST_CASE("detach moves its arguments in and its result out", "[promise][detach]") {
  event_loop loop;
  auto text = std::make_unique<std::string>("a");
  auto more = [](std::unique_ptr<std::string> s) {
    *s += "b";
    return s;
  };
  const auto result = loop.run([&] { return detach(more, std::move(text)); });
  CHECK(*result == "ab");
}

TEST_CASE("detach carries an exception across", "[promise][detach]") {
  event_loop loop;
  CHECK_THROWS_WITH(loop.run([] { return detach(fail); }), "no luck");
}

TEST_CASE("a detached job is destroyed on the thread that ran it", "[promise][detach]") {
  event_loop loop;
  std::promise<std::thread::id> where;
  auto end = where.get_future();
  std::shared_ptr<int> last(new int(1), [&where](int* p) {
    delete p;
    where.set_value(std::this_thread::get_id());
  });
  const auto ran = loop.run([&] {
    return detach([](const std::shared_ptr<int>&) { return std::this_thread::get_id(); },
                  std::move(last));
  });
  CHECK(end.get() == ran);
}

TEST_CASE("a full queue lets jobs wait in order and runs none on the loop", "[promise][detach]") {
  event_loop loop;
  loop.pool().set_bounds({1, 1});
  loop.pool().set_queue_limit(1);
  gate first;
  std::vector<int> order;
  std::vector<promise<>> jobs;
  loop.run([&] {
    jobs.push_back(detach([&first] { static_cast<void>(first.pass(0)); }));
    first.started.acquire();
    for (int i = 1; i <= 5; ++i) jobs.push_back(detach([&order, i] { order.push_back(i); }));
    CHECK(loop.pool().counts().queued == 1);
    CHECK(loop.pool().counts().waiting == 4);
    CHECK(order.empty());
    first.open.release();
  });
  for (const promise<>& job : jobs) run_until_settled(loop, job);
  CHECK(order == std::vector<int>{1, 2, 3, 4, 5});
}

TEST_CASE("a raised queue limit takes in the jobs that wait", "[promise][detach]") {
  event_loop loop;
  loop.pool().set_bounds({0, 0});
  loop.pool().set_queue_limit(1);
  std::vector<promise<int>> jobs;
  loop.run([&] {
    for (int i = 0; i < 4; ++i) jobs.push_back(detach(add, i, i));
  });
  loop.pool().set_queue_limit(3);
  CHECK(loop.pool().counts().queued == 3);
  CHECK(loop.pool().counts().waiting == 1);
  loop.pool().set_bounds({0, 2});
  for (const promise<int>& job : jobs) run_until_settled(loop, job);
  CHECK(*jobs.back().peek() == 6);
}

TEST_CASE("cancelling a detached job that has not started takes it out", "[promise][detach]") {
  event_loop loop;
  loop.pool().set_bounds({0, 0});
  loop.pool().set_queue_limit(1);
  loop.run([&] {
    const promise<int> queued = detach(add, 1, 1);
    const promise<int> waiting = detach(add, 2, 2);
    cancel(queued);
    CHECK(is_cancelled(queued.error()));
    CHECK(loop.pool().counts().queued == 1);
    cancel(waiting);
    CHECK(is_cancelled(waiting.error()));
    CHECK(loop.pool().counts().queued == 0);
  });
}

TEST_CASE("cancelling a detached job that runs asks it to stop and waits for its end",
          "[promise][detach]") {
  event_loop loop;
  std::binary_semaphore started(0);
  promise<std::string> job;
  loop.run([&] {
    job = detach(wait_for_stop, std::ref(started));
    started.acquire();
    cancel(job);
    CHECK(job.is_pending());
  });
  run_until_settled(loop, job);
  CHECK(is_cancelled(job.error()));
}

TEST_CASE("cancelling a detached job without a token gives its result", "[promise][detach]") {
  event_loop loop;
  gate g;
  promise<int> job;
  loop.run([&] {
    job = detach([&g] { return g.pass(7); });
    g.started.acquire();
    cancel(job);
    CHECK(job.is_pending());
    g.open.release();
  });
  run_until_settled(loop, job);
  CHECK(*job.peek() == 7);
}

TEST_CASE("the end of a loop stops jobs that run and drops those that wait", "[promise][detach]") {
  promise<std::string> runs;
  promise<int> waits;
  bool dropped_job_ran = false;
  {
    event_loop loop;
    loop.pool().set_bounds({1, 1});
    std::binary_semaphore started(0);
    loop.run([&] {
      runs = detach(wait_for_stop, std::ref(started));
      waits = detach([&dropped_job_ran] {
        dropped_job_ran = true;
        return 1;
      });
      started.acquire();
    });
  }
  CHECK_THROWS_AS(std::move(runs).get(), loop_closed);
  CHECK_THROWS_AS(std::move(waits).get(), loop_closed);
  CHECK_FALSE(dropped_job_ran);
}

TEST_CASE("a task that detaches while its loop ends is told so", "[promise][detach]") {
  std::atomic<bool> ran = false;
  promise<> again;
  {
    event_loop loop;
    again = fermata::never<>().catch_(
        [&ran](const std::exception_ptr&) { return detach([&ran] { ran = true; }); });
  }
  CHECK_THROWS_AS(std::move(again).get(), loop_closed);
  CHECK_FALSE(ran);
}

TEST_CASE("virtual time stands still while a detached job runs", "[promise][detach]") {
  virtual_clock clock;
  loop_options options;
  options.clock = &clock;
  event_loop loop(std::move(options));
  gate g;
  bool fired = false;
  timer soon(loop, 1ms, [&fired] { fired = true; });
  std::jthread opener([&g] {
    g.started.acquire();
    g.open.release();
  });
  CHECK(loop.run([&] { return detach([&g] { return g.pass(1); }); }) == 1);
  CHECK_FALSE(fired);
}

TEST_CASE("a thousand detached jobs come back once each", "[promise][detach]") {
  event_loop loop;
  loop.pool().set_queue_limit(10);
  std::atomic<int> ran = 0;
  std::vector<promise<int>> jobs;
  loop.run([&] {
    for (int i = 0; i < 1000; ++i) jobs.push_back(detach([&ran, i] { return ran += 1, i; }));
    for (std::size_t i = 0; i < jobs.size(); i += 7) cancel(jobs[i]);
  });
  int given = 0;
  for (const promise<int>& job : jobs) {
    run_until_settled(loop, job);
    if (job.is_resolved()) ++given;
  }
  CHECK(given == ran);
}

TEST_CASE("a detached job is traced, and its wait measured where that is asked for",
          "[promise][detach]") {
  fermata::loop_options options = fermata::testing::options_of_run();
  options.measure_steps = true;
  fermata::event_loop loop(std::move(options));
  loop.run([] { return fermata::detach([] {}); });
  CHECK(loop.metrics().pool_wait.count() == 1);
  const fermata::trace_snapshot s = loop.trace().snapshot();
  const auto jobs =
      std::count_if(s.events.begin(), s.events.end(), [](const fermata::trace_event& e) {
        return e.kind == fermata::trace_kind::job && e.end >= e.begin && e.id != 0;
      });
  CHECK(jobs == 1);
}

TEST_CASE("a traced job bears the name of its task, and its way there and back",
          "[promise][detach]") {
  event_loop loop;
  const auto run = [&] {
    loop.run([] { return fermata::named("import", [] { return detach([] {}); }); });
    return loop.trace().snapshot();
  };
  const auto find = [](const fermata::trace_snapshot& s, fermata::trace_kind kind) {
    return std::find_if(s.events.begin(), s.events.end(),
                        [kind](const fermata::trace_event& e) { return e.kind == kind; });
  };
  const fermata::trace_snapshot unasked = run();
  CHECK(find(unasked, fermata::trace_kind::job)->name() == "import");
  CHECK(find(unasked, fermata::trace_kind::sent) == unasked.events.end());
  loop.trace().start();
  const fermata::trace_snapshot s = run();
  const auto sent = find(s, fermata::trace_kind::sent);
  const auto back = find(s, fermata::trace_kind::back);
  REQUIRE((sent != s.events.end() && back != s.events.end()));
  CHECK(sent->id == back->id);
  CHECK(sent->begin <= sent->end);
  CHECK(sent->end <= back->begin);
  CHECK(back->begin <= back->end);
}

TEST_CASE("a lane holds its jobs to its share of the threads", "[promise][detach]") {
  event_loop loop;
  loop.pool().set_bounds({0, 4});
  fermata::lane_options alone;
  alone.max_threads = 1;
  fermata::worker_lane& lane = loop.pool().make_lane("alone", alone);
  std::atomic<int> inside = 0;
  std::atomic<bool> met = false;
  std::vector<promise<>> jobs;
  loop.run([&] {
    for (int i = 0; i < 50; ++i) {
      jobs.push_back(fermata::detach_in(lane, [&] {
        if (++inside > 1) met = true;
        --inside;
      }));
    }
  });
  for (const promise<>& job : jobs) run_until_settled(loop, job);
  CHECK_FALSE(met);
  event_loop other;
  const promise<> refused = fermata::detach_in(lane, [] {});  // of another loop's pool
  CHECK_THROWS_WITH(promise<>(refused).get(), "cannot submit a job: the lane is another pool's");
}

TEST_CASE("jobs that were short are not for ever: a long one calls for a second thread",
          "[promise][detach]") {
  event_loop loop;
  loop.pool().set_bounds({2, 2});
  for (int i = 0; i < 300; ++i) loop.run([] { return detach([] {}); });
  std::binary_semaphore first(0);
  std::binary_semaphore second(0);
  loop.run([&] {
    const promise<> a = detach([&] {  // each waits for the other
      first.release();
      second.acquire();
    });
    const promise<> b = detach([&] {
      second.release();
      first.acquire();
    });
    return fermata::both(a, b);
  });
}
