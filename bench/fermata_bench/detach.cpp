// SPDX-License-Identifier: MIT
// c7: a function on another thread and its result back, with a pool of two threads.
//
//   c7_lat     us there and back, one at a time, lower is better
//   c7_wake    us of the kernel's part of that: a thread that sleeps on a condition is woken, and
//              wakes one that sleeps in a read
//   c7_pipe64  jobs/s while 64 are under way, higher is better

#include "cases.hpp"

#include <fermata/loop/worker_pool.hpp>
#include <fermata/promise/combine.hpp>
#include <fermata/promise/detach.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace bench {
namespace {

using fermata::promise;

constexpr long jobs_alone = 200;
constexpr long lanes = 64;
constexpr long jobs_a_lane = 200;

long next_of(long x) { return x + 1; }

promise<long> detach_in_turn(long jobs) {
  long x = 0;
  for (long i = 0; i < jobs; ++i) {
    promise<long> result = fermata::detach(next_of, x);
    x = co_await result;
  }
  co_return x;
}

promise<std::vector<long>> detach_side_by_side() {
  std::vector<promise<long>> running;
  running.reserve(lanes);
  for (long i = 0; i < lanes; ++i) running.push_back(detach_in_turn(jobs_a_lane));
  return fermata::all(std::move(running));
}

// A worker without a pool or a loop: what two sleeping threads cost each other at least.
class bare_worker {
public:
  bare_worker() : done_(eventfd(0, EFD_CLOEXEC)), thread_([this] { work(); }) {
    require(done_ >= 0, "c7: a descriptor");
  }
  bare_worker(const bare_worker&) = delete;
  bare_worker& operator=(const bare_worker&) = delete;
  ~bare_worker() {
    hand_over(job::end);
    thread_.join();
    close(done_);
  }
  void there_and_back() {
    hand_over(job::answer);
    std::uint64_t count = 0;
    require(read(done_, &count, sizeof count) == sizeof count, "c7: the answer is read");
  }

private:
  enum class job { none, answer, end };

  void hand_over(job j) {
    {
      const std::lock_guard lock(mutex_);
      job_ = j;
    }
    there_is_one_.notify_one();
  }
  void work() {
    for (;;) {
      std::unique_lock lock(mutex_);
      there_is_one_.wait(lock, [this] { return job_ != job::none; });
      if (std::exchange(job_, job::none) == job::end) return;
      lock.unlock();
      const std::uint64_t one = 1;
      require(write(done_, &one, sizeof one) == sizeof one, "c7: the answer is written");
    }
  }

  int done_;
  std::mutex mutex_;
  std::condition_variable there_is_one_;
  job job_ = job::none;
  std::thread thread_;
};

}  // namespace

void run_detach(const settings& s) {
  fermata::event_loop loop;
  loop.pool().set_bounds({2, 2});
  print_figure("c7_lat", "us", ns_an_operation(s, jobs_alone, [&] {
                                 const long last =
                                     loop.run([] { return detach_in_turn(jobs_alone); });
                                 require(last == jobs_alone, "c7: every job has run");
                               }) / 1e3);
  bare_worker bare;
  print_figure("c7_wake", "us", ns_an_operation(s, jobs_alone, [&] {
                                  for (long i = 0; i < jobs_alone; ++i) bare.there_and_back();
                                }) / 1e3);
  print_figure("c7_pipe64", "jobs/s",
               1e9 / ns_an_operation(s, lanes * jobs_a_lane, [&] {
                 const std::vector<long> last = loop.run(detach_side_by_side);
                 require(last == std::vector<long>(lanes, jobs_a_lane), "c7: every job has run");
               }));
}

}  // namespace bench
