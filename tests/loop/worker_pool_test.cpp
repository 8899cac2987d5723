// SPDX-License-Identifier: MIT
#include <fermata/loop/error.hpp>
#include <fermata/loop/unique_function.hpp>
#include <fermata/loop/worker_pool.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using fermata::contract_error;
using fermata::lane_options;
using fermata::pool_job;
using fermata::worker_lane;
using fermata::worker_pool;

namespace {

// A job that calls a function; the test keeps it.
class call final : public pool_job {
public:
  explicit call(fermata::unique_function<void()> f) : f_(std::move(f)) {}
  void work() noexcept override { f_(); }
  void drop() noexcept override { was_dropped = true; }
  bool was_dropped = false;

private:
  fermata::unique_function<void()> f_;
};

// Jobs that count themselves, and how many ran at the same time at most; each waits to be let go.
class crowd {
public:
  call& make() {
    return *jobs_.emplace_back(std::make_unique<call>([this] {
      const int now = ++inside;
      int seen = most;
      while (seen < now && !most.compare_exchange_weak(seen, now)) {
      }
      open_.acquire();
      --inside;
      ++ended;
    }));
  }
  void let_go(int n) { open_.release(n); }

  std::atomic<int> inside = 0;
  std::atomic<int> most = 0;
  std::atomic<int> ended = 0;

private:
  std::counting_semaphore<> open_{0};
  std::vector<std::unique_ptr<call>> jobs_;
};

template <typename Condition>
void wait_until(Condition&& is_true) {
  while (!is_true()) std::this_thread::yield();
}

}  // namespace

TEST_CASE("pool bounds of (0, 0) let jobs wait until they rise", "[loop][pool]") {
  std::atomic<int> ran = 0;
  call a([&] { ++ran; });
  call b([&] { ++ran; });
  worker_pool pool;
  pool.set_bounds({0, 0});
  pool.submit(a);
  pool.submit(b);
  CHECK(pool.counts().threads == 0);
  CHECK(pool.counts().queued == 2);
  CHECK(pool.remove(b));
  CHECK_FALSE(pool.remove(b));
  pool.set_bounds({0, 2});
  wait_until([&] { return ran == 1; });
  pool.set_bounds({0, 0});
  wait_until([&] { return pool.counts().threads == 0; });
  CHECK_FALSE(pool.remove(a));
  CHECK_THROWS_WITH(pool.set_bounds({3, 2}), "cannot set pool bounds: min is above max");
}

TEST_CASE("pool holds no job back while no loop polls, however short those before were",
          "[loop][pool]") {
  worker_pool pool;
  pool.set_bounds({2, 2});
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> ran = 0;
    std::vector<std::unique_ptr<call>> shorts;
    while (shorts.size() < 32) {
      pool.submit(*shorts.emplace_back(std::make_unique<call>([&] { ++ran; })));
    }
    wait_until([&] { return ran == 32; });
    crowd two;
    pool.submit(two.make());
    pool.submit(two.make());
    wait_until([&] { return two.inside == 2; });  // neither ends before
    two.let_go(2);
    wait_until([&] { return two.ended == 2 && pool.counts().running == 0; });
  }
  CHECK(pool.counts().threads == 2);
}

TEST_CASE("pool starts as many threads as raised bounds allow, whatever the queue limit",
          "[loop][pool]") {
  crowd jobs;
  worker_pool pool;
  pool.set_bounds({0, 0});
  pool.set_queue_limit(1);
  for (int i = 0; i < 5; ++i) pool.submit(jobs.make());
  CHECK(pool.counts().queued == 1);
  CHECK(pool.counts().waiting == 4);
  pool.set_bounds({0, 4});
  wait_until([&] { return jobs.inside == 4; });
  CHECK(pool.counts().threads == 4);
  CHECK(pool.counts().running == 4);
  CHECK(pool.counts().queued == 1);
  jobs.let_go(5);
  wait_until([&] { return jobs.ended == 5; });
}

TEST_CASE("pool whose maximum is lowered lets threads leave after their jobs", "[loop][pool]") {
  crowd jobs;
  worker_pool pool;
  pool.set_bounds({0, 4});
  for (int i = 0; i < 8; ++i) pool.submit(jobs.make());
  wait_until([&] { return jobs.inside == 4; });
  pool.set_bounds({0, 1});
  CHECK(pool.counts().threads == 4);
  jobs.let_go(4);
  wait_until([&] { return jobs.ended == 4 && pool.counts().threads == 1; });
  wait_until([&] { return jobs.inside == 1; });
  jobs.most = 0;
  jobs.let_go(4);
  wait_until([&] { return jobs.ended == 8; });
  CHECK(jobs.most <= 1);
}

TEST_CASE("pool keeps its minimum of threads and lets the others leave", "[loop][pool]") {
  crowd jobs;
  worker_pool pool;
  pool.set_keep_alive(0ns);
  pool.set_bounds({2, 4});
  CHECK(pool.counts().threads == 2);
  for (int i = 0; i < 4; ++i) pool.submit(jobs.make());
  wait_until([&] { return jobs.inside == 4; });
  jobs.let_go(4);
  wait_until([&] { return pool.counts().threads == 2 && pool.counts().idle == 2; });
  pool.set_bounds({0, 4});
  wait_until([&] { return pool.counts().threads == 0; });
  pool.submit(jobs.make());
  jobs.let_go(1);
  wait_until([&] { return jobs.ended == 5; });
}

TEST_CASE("pool with a queue limit of 0 takes a job for a free thread only", "[loop][pool]") {
  crowd jobs;
  worker_pool pool;
  pool.set_bounds({0, 2});
  pool.set_queue_limit(0);
  CHECK(pool.try_submit(jobs.make()));
  CHECK(pool.try_submit(jobs.make()));
  CHECK_FALSE(pool.try_submit(jobs.make()));
  wait_until([&] { return jobs.inside == 2; });
  call& waits = jobs.make();
  CHECK_FALSE(pool.try_submit(waits));
  pool.submit(waits);
  CHECK(pool.counts().queued == 0);
  CHECK(pool.counts().waiting == 1);
  jobs.let_go(3);
  wait_until([&] { return jobs.ended == 3; });
  wait_until([&] { return pool.counts().running == 0; });
  CHECK(pool.try_submit(jobs.make()));
  jobs.let_go(1);
}

TEST_CASE("pool with a queue limit takes that many jobs more than threads", "[loop][pool]") {
  crowd jobs;
  worker_pool pool;
  pool.set_bounds({0, 1});
  pool.set_queue_limit(2);
  int taken = 0;
  while (pool.try_submit(jobs.make())) ++taken;
  CHECK(taken == 3);
  jobs.let_go(3);
  wait_until([&] { return jobs.ended == 3; });
}

TEST_CASE("lane has no more threads than its share, and leaves the others to the rest",
          "[loop][pool]") {
  crowd slow;
  crowd quick;
  worker_pool pool;
  pool.set_bounds({0, 3});
  lane_options two_threads;
  two_threads.max_threads = 2;
  worker_lane& lane = pool.make_lane("disk", two_threads);
  for (int i = 0; i < 6; ++i) pool.submit(lane, slow.make());
  wait_until([&] { return slow.inside == 2; });
  for (int i = 0; i < 10; ++i) pool.submit(quick.make());
  quick.let_go(10);
  wait_until([&] { return quick.ended == 10; });
  CHECK(quick.most == 1);
  CHECK(lane.counts().running == 2);
  CHECK(lane.counts().queued == 4);
  slow.let_go(6);
  wait_until([&] { return slow.ended == 6; });
  CHECK(slow.most == 2);
  CHECK(&lane.pool() == &pool);
  CHECK(pool.find_lane("disk") == &lane);
  CHECK(pool.find_lane("default") == &pool.default_lane());
  CHECK(pool.find_lane("none") == nullptr);
  CHECK_THROWS_WITH(pool.make_lane("disk"), "cannot make lane disk: it exists");
  worker_pool other;
  call job([] {});
  CHECK_THROWS_WITH(other.submit(lane, job), "cannot submit a job: the lane is another pool's");
}

TEST_CASE("lane whose share is raised starts its jobs at once; with none they wait",
          "[loop][pool]") {
  crowd jobs;
  worker_pool pool;
  pool.set_bounds({0, 3});
  lane_options options;
  options.max_threads = 0;
  options.queue_limit = 1;
  worker_lane& lane = pool.make_lane("later", options);
  for (int i = 0; i < 3; ++i) pool.submit(lane, jobs.make());
  CHECK(lane.counts().queued == 1);
  CHECK(lane.counts().waiting == 2);
  CHECK(pool.counts().threads == 0);
  options.max_threads = 2;
  lane.set_options(options);
  wait_until([&] { return jobs.inside == 2; });
  options.max_threads = 3;
  lane.set_options(options);
  wait_until([&] { return jobs.inside == 3; });
  jobs.let_go(3);
}

TEST_CASE("lanes with jobs take turns", "[loop][pool]") {
  std::vector<std::string> order;
  std::vector<std::unique_ptr<call>> jobs;
  worker_pool pool;
  pool.set_bounds({0, 0});
  worker_lane& a = pool.make_lane("a");
  worker_lane& b = pool.make_lane("b");
  for (worker_lane* lane : {&a, &b}) {
    for (int i = 0; i < 3; ++i) {
      const std::string name = lane->name() + std::to_string(i);
      jobs.push_back(std::make_unique<call>([&order, name] { order.push_back(name); }));
      pool.submit(*lane, *jobs.back());
    }
  }
  pool.set_bounds({0, 1});
  wait_until([&] { return pool.counts().queued == 0 && pool.counts().running == 0; });
  pool.end();
  CHECK(order == std::vector<std::string>{"a0", "b0", "a1", "b1", "a2", "b2"});
}

TEST_CASE("pool that ends drops what has not started and asks what runs to stop", "[loop][pool]") {
  std::binary_semaphore started(0);
  call waits([] {});
  bool was_asked = false;
  {
    auto owner = std::make_unique<worker_pool>();
    worker_pool& pool = *owner;
    pool.set_bounds({1, 1});
    std::binary_semaphore stopped(0);
    const std::stop_callback asked(pool.ending(), [&] {
      stopped.release();  // the thread is free before the call that ends the pool goes on
      wait_until([&] { return pool.counts().queued == 0 && pool.counts().running == 0; });
    });
    call runs([&] {
      started.release();
      stopped.acquire();
      was_asked = true;
    });
    pool.submit(runs);
    started.acquire();
    pool.submit(waits);
    pool.end();
    CHECK(waits.was_dropped);
    call late([] {});
    CHECK_THROWS_WITH(pool.submit(late), "cannot submit a job: the pool has ended");
    owner.reset();  // before the job that its thread may still be in
  }
  CHECK(was_asked);
}

TEST_CASE("pool runs every job once while its bounds go up and down", "[loop][pool]") {
  constexpr int count = 20'000;
  std::atomic<int> ran = 0;
  std::vector<std::unique_ptr<call>> jobs;
  for (int i = 0; i < count; ++i) jobs.push_back(std::make_unique<call>([&ran] { ++ran; }));
  worker_pool pool;
  pool.set_keep_alive(10us);
  std::thread other([&] {
    for (int i = 0; i < count; i += 2) pool.submit(*jobs[static_cast<std::size_t>(i)]);
  });
  std::size_t step = 0;
  int removed = 0;
  for (std::size_t i = 1; i < count; i += 2) {
    pool.submit(*jobs[i]);
    if (i % 64 == 1) pool.set_bounds({0, step++ % 4});
    if (i % 7 == 0 && pool.remove(*jobs[i])) ++removed;
  }
  other.join();
  pool.set_bounds({1, 2});
  wait_until([&] { return ran + removed == count; });
  wait_until([&] { return pool.counts().running == 0; });
  CHECK(pool.counts().queued + pool.counts().waiting == 0);
}
