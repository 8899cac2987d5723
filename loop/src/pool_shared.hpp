// SPDX-License-Identifier: MIT
// What the pool's threads share: one mutex, intrusive lanes, threads that decide by the bounds
// whether they stay.
//
// Under the mutex: runnable is the sum of what the lanes could start now, each within its share.
// No job is forgotten: a worker goes to sleep only in the critical section in which it has found
// nothing runnable, so whoever makes a job runnable later finds it among the sleepers. Who makes a
// job runnable, or takes one and leaves others, calls more(): it wakes or starts one thread unless
// one is on its way already (waking) or looks for jobs (searching), which will call more() itself.
// So while jobs are runnable and the bounds leave room, one more thread is always on its way,
// unless the jobs of late were so short that those awake are through before it has come: then
// nudge(), which the loop calls at its polls, wakes it where no job has been started meanwhile; and
// while the loop sleeps nothing is held back. Who holds a job back writes held_back, then reads
// loop_sleeps, the loop the other way round: so one of them sees to the job.
#pragma once

#include "relax.hpp"

#include <fermata/loop/worker_pool.hpp>

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace fermata {

/// Work that is worth waking a thread for.
inline constexpr std::int64_t wake_pays_ns = 20'000;

namespace detail {

/// The pool's critical sections end before a thread could fall asleep and be woken again.
inline void lock_soon(std::unique_lock<std::mutex>& lock) {
  constexpr int tries = 64;
  for (int i = 0; i < tries; ++i) {
    if (lock.try_lock()) return;
    relax();
  }
  lock.lock();
}

}  // namespace detail

struct worker_pool::worker {
  std::thread thread;
  std::condition_variable wake;
  worker* below = nullptr;  // in the stack of sleepers
  bool is_asleep = false;
  std::chrono::steady_clock::time_point run_start;
  unsigned run_jobs = 0;
};

struct worker_pool::shared {
  explicit shared(worker_pool& pool) : main(pool, "default", lane_options()) {}

  mutable std::mutex mutex;
  worker_lane main;
  std::vector<std::unique_ptr<worker_lane>> lanes;
  worker_lane* first_lane = nullptr;  // those listed
  worker_lane* last_lane = nullptr;
  std::atomic<std::size_t> runnable = 0;

  std::deque<worker> workers;  // never shrinks: a notified worker is still there
  std::vector<worker*> left;   // ended, to be joined
  std::vector<worker*> unused;
  worker* sleepers = nullptr;  // the last to fall asleep first
  std::size_t threads = 0;
  std::size_t idle = 0;
  std::size_t running = 0;
  std::size_t waking = 0;
  bool searching = false;
  unsigned misses = 0;
  pool_bounds bounds;
  std::chrono::nanoseconds keep_alive = default_keep_alive;
  std::condition_variable all_left;
  std::atomic<std::int64_t> job_ns = 1'000'000;  // what one took of late; written under the mutex
  std::size_t started_at_nudge = 0;
  std::size_t started = 0;
  std::uint64_t submitted = 0;
  std::atomic<bool> held_back = false;
  std::atomic<bool> loop_sleeps = true;  // or has not polled yet
  std::atomic<int> loop_runs_on = -1;    // a processor, at its last poll
  std::atomic<int> worker_runs_on = -1;  // that of the one that took a job last
  bool ending = false;

  [[nodiscard]] worker_lane* find(std::string_view name) noexcept;
  /// Changes a lane and what follows from it.
  template <typename Change>
  void change(worker_lane& lane, Change&& apply) {
    const std::size_t before = lane.startable();
    apply();
    const std::size_t now = lane.startable();
    runnable.store(runnable.load(std::memory_order_relaxed) + now - before,
                   std::memory_order_relaxed);
    if (now > 0 && !lane.is_listed_) list(lane);
  }
  void list(worker_lane& lane) noexcept;
  [[nodiscard]] bool has_room(const worker_lane& lane) const noexcept;
  [[nodiscard]] pool_job* take() noexcept;
  [[nodiscard]] worker* more(bool even_if_short = false);
  [[nodiscard]] worker* wake_one() noexcept;
  void start_one();
  void start_threads();
  void join_left();
  void wake_all() noexcept;
  void work(worker& self);
  [[nodiscard]] pool_job* next_job(worker& self, std::unique_lock<std::mutex>& lock);
  [[nodiscard]] bool may_search() noexcept;
  void search(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] bool sleep(worker& self, std::unique_lock<std::mutex>& lock);
  void note_time(worker& self) noexcept;
  [[nodiscard]] bool jobs_are_short(std::size_t jobs) const noexcept {
    return job_ns.load(std::memory_order_relaxed) * static_cast<std::int64_t>(jobs) < wake_pays_ns;
  }
  /// Whether who waits awake keeps the other side from its processor.
  [[nodiscard]] static bool runs_here(const std::atomic<int>& processor) noexcept {
    return processor.load(std::memory_order_relaxed) == sched_getcpu();
  }
  static void note_processor(std::atomic<int>& processor) noexcept {
    if (!runs_here(processor)) processor.store(sched_getcpu(), std::memory_order_relaxed);
  }
  void hold_back() noexcept {
    if (!held_back.load(std::memory_order_relaxed)) held_back.store(true);
  }
  [[nodiscard]] bool must_leave() const noexcept { return ending || threads > bounds.max; }
};

inline std::size_t worker_lane::startable() const noexcept {
  return running_ < options_.max_threads ? std::min(size_, options_.max_threads - running_) : 0;
}

}  // namespace fermata
