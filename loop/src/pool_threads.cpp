// SPDX-License-Identifier: MIT
// The pool's threads: when one more is wanted, what each does next, and when it leaves.

#include "pool_shared.hpp"

#include <fermata/loop/time_source.hpp>

#include <algorithm>

namespace fermata {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::chrono::microseconds longest_search{30};
constexpr unsigned misses_before_rest = 4;  // searches in vain until most of them are left out
constexpr unsigned rest = 16;
constexpr int relaxes = 8;  // between two looks
constexpr unsigned jobs_per_reading = 8;

}  // namespace

// Whom to notify once the mutex is free, or nullptr.
worker_pool::worker* worker_pool::shared::more(bool even_if_short) {
  const std::size_t wanted = runnable.load(std::memory_order_relaxed);
  if (wanted <= (searching ? 1 : 0) || waking > 0) return nullptr;
  if (sleepers == nullptr && threads >= bounds.max) return nullptr;
  if (!even_if_short && running > 0 && jobs_are_short(wanted)) {
    hold_back();
    if (!loop_sleeps.load()) return nullptr;
  }
  if (sleepers != nullptr) return wake_one();
  start_one();
  return nullptr;
}

worker_pool::worker* worker_pool::shared::wake_one() noexcept {
  worker* const w = sleepers;
  sleepers = w->below;
  w->is_asleep = false;
  ++waking;
  return w;
}

void worker_pool::shared::wake_all() noexcept {
  while (sleepers != nullptr) wake_one()->wake.notify_one();
}

void worker_pool::shared::join_left() {
  for (worker* w : left) {
    w->thread.join();
    unused.push_back(w);
  }
  left.clear();
}

// Throws where no thread can be started and none is there.
void worker_pool::shared::start_one() {
  join_left();
  if (unused.empty()) unused.push_back(&workers.emplace_back());
  worker& w = *unused.back();
  try {
    w.thread = std::thread([this, &w] { work(w); });
  } catch (...) {
    if (threads == 0) throw;
    return;
  }
  unused.pop_back();
  ++threads;
  ++waking;
}

// All that the bounds demand or the jobs want at once.
void worker_pool::shared::start_threads() {
  const std::size_t wanted = std::min(
      bounds.max, std::max(bounds.min, running + runnable.load(std::memory_order_relaxed)));
  while (threads < wanted) {
    const std::size_t before = threads;
    start_one();
    if (threads == before) break;
  }
  const std::size_t jobs = runnable.load(std::memory_order_relaxed);
  while (sleepers != nullptr && waking < jobs) wake_one()->wake.notify_one();
}

void worker_pool::shared::work(worker& self) {
  std::unique_lock lock(mutex);
  --waking;
  self.run_start = clock::now();
  self.run_jobs = 0;
  while (pool_job* job = next_job(self, lock)) {
    note_processor(worker_runs_on);
    worker_lane& lane = *job->lane_;
    worker* const other = more();
    lock.unlock();
    if (other != nullptr) other->wake.notify_one();
    job->work();
    ++self.run_jobs;
    detail::lock_soon(lock);
    --running;
    change(lane, [&] { --lane.running_; });
    if (self.run_jobs >= jobs_per_reading) note_time(self);
  }
  --threads;
  if (worker* const other = more()) other->wake.notify_one();
  left.push_back(&self);
  all_left.notify_all();
}

void worker_pool::shared::note_time(worker& self) noexcept {
  const clock::time_point now = clock::now();
  if (self.run_jobs > 0) {
    const std::chrono::nanoseconds run = now - self.run_start;
    const std::int64_t before = job_ns.load(std::memory_order_relaxed);
    job_ns.store((before * 3 + run.count() / self.run_jobs) / 4, std::memory_order_relaxed);
  }
  self.run_start = now;
  self.run_jobs = 0;
}

// nullptr: this thread leaves.
pool_job* worker_pool::shared::next_job(worker& self, std::unique_lock<std::mutex>& lock) {
  if (must_leave()) return nullptr;
  if (pool_job* job = take()) return job;
  note_time(self);
  ++idle;
  bool stays = true;
  pool_job* job = nullptr;
  if (may_search()) {
    search(lock);
    if (!must_leave()) job = take();
    misses = job != nullptr ? 0 : misses + 1;
  }
  while (job == nullptr && stays && !must_leave()) {
    stays = sleep(self, lock);
    if (!must_leave()) job = take();
  }
  --idle;
  self.run_start = clock::now();
  return job;
}

bool worker_pool::shared::may_search() noexcept {
  static const bool one_core = std::thread::hardware_concurrency() < 2;
  if (one_core || searching) return false;
  if (!loop_sleeps.load(std::memory_order_relaxed) && runs_here(loop_runs_on)) return false;
  if (misses < misses_before_rest || misses % rest == 0) return true;
  ++misses;
  return false;
}

void worker_pool::shared::search(std::unique_lock<std::mutex>& lock) {
  searching = true;
  lock.unlock();
  const clock::time_point end = clock::now() + longest_search;
  bool found = false;
  while (!found && clock::now() < end) {
    for (int i = 0; i < relaxes; ++i) detail::relax();
    found = runnable.load(std::memory_order_relaxed) > 0;
  }
  lock.lock();
  searching = false;
}

// False: nobody has called for long enough, and the thread is not needed.
bool worker_pool::shared::sleep(worker& self, std::unique_lock<std::mutex>& lock) {
  const clock::time_point begin = clock::now();
  self.is_asleep = true;
  self.below = sleepers;
  sleepers = &self;
  while (self.is_asleep && !must_leave()) {
    if (threads <= bounds.min) {
      self.wake.wait(lock);
    } else if (self.wake.wait_until(lock, later(begin, keep_alive)) == std::cv_status::timeout) {
      if (threads > bounds.min && clock::now() - begin >= keep_alive) break;
    }
  }
  if (!self.is_asleep) {
    --waking;
    return true;
  }
  worker** at = &sleepers;
  while (*at != &self) at = &(*at)->below;
  *at = self.below;
  self.is_asleep = false;
  return false;
}

}  // namespace fermata
