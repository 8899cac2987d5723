// SPDX-License-Identifier: MIT
// The pool's lanes, and what callers ask of it.

#include "pool_shared.hpp"

#include <fermata/loop/error.hpp>

#include <algorithm>

namespace fermata {

// ---- lanes ----

void worker_lane::push(pool_job& job) noexcept {
  job.lane_ = this;
  job.is_queued_ = true;
  job.next_ = nullptr;
  job.previous_ = last_;
  (last_ == nullptr ? first_ : last_->next_) = &job;
  last_ = &job;
  ++size_;
  if (job.is_awaited_) ++awaited_;
}

void worker_lane::unlink(pool_job& job) noexcept {
  (job.previous_ == nullptr ? first_ : job.previous_->next_) = job.next_;
  (job.next_ == nullptr ? last_ : job.next_->previous_) = job.previous_;
  job.is_queued_ = false;
  --size_;
  if (job.is_awaited_) --awaited_;
}

lane_counts worker_lane::counts() const {
  const std::lock_guard lock(pool_.shared_->mutex);
  const std::size_t queued = std::min(size_, options_.queue_limit);
  return {queued, running_, size_ - queued};
}

void worker_lane::set_options(lane_options options) {
  worker_pool::shared& s = *pool_.shared_;
  const std::lock_guard lock(s.mutex);
  s.change(*this, [&] { options_ = options; });
  s.start_threads();
}

void worker_pool::shared::list(worker_lane& lane) noexcept {
  lane.is_listed_ = true;
  lane.next_ = nullptr;
  (last_lane == nullptr ? first_lane : last_lane->next_) = &lane;
  last_lane = &lane;
}

// The next job of the lane whose turn it is; nullptr where none may start.
pool_job* worker_pool::shared::take() noexcept {
  while (first_lane != nullptr) {
    worker_lane& lane = *first_lane;
    first_lane = lane.next_;
    if (first_lane == nullptr) last_lane = nullptr;
    lane.is_listed_ = false;
    if (lane.startable() == 0) continue;
    pool_job& job = *lane.first_;
    change(lane, [&] {
      lane.unlink(job);
      ++lane.running_;
    });
    ++running;
    ++started;
    return &job;
  }
  return nullptr;
}

// ---- the pool ----

worker_pool::worker_pool() : shared_(std::make_unique<shared>(*this)) {}

worker_pool::~worker_pool() {
  end();
  std::unique_lock lock(shared_->mutex);
  shared_->all_left.wait(lock, [&] { return shared_->threads == 0; });
  shared_->join_left();
}

// Those that run are asked last: one that stops at once would free its thread for what is dropped.
void worker_pool::end() noexcept {
  pool_job* dropped = nullptr;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->ending = true;
    const auto empty = [&](worker_lane& lane) {
      while (lane.last_ != nullptr) {
        pool_job& job = *lane.last_;
        shared_->change(lane, [&] { lane.unlink(job); });
        job.next_ = std::exchange(dropped, &job);
      }
    };
    for (auto& lane : shared_->lanes) empty(*lane);
    empty(shared_->main);
    shared_->wake_all();
  }
  ending_.request_stop();
  while (dropped != nullptr) std::exchange(dropped, dropped->next_)->drop();
}

void worker_pool::set_bounds(pool_bounds bounds) {
  if (bounds.min > bounds.max) throw contract_error("cannot set pool bounds: min is above max");
  const std::lock_guard lock(shared_->mutex);
  shared_->bounds = bounds;
  shared_->start_threads();
  shared_->wake_all();  // some must leave, or wait no longer than keep_alive
}

pool_bounds worker_pool::bounds() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->bounds;
}

void worker_pool::set_keep_alive(std::chrono::nanoseconds d) {
  const std::lock_guard lock(shared_->mutex);
  shared_->keep_alive = d;
  shared_->wake_all();
}

pool_counts worker_pool::counts() const {
  const std::lock_guard lock(shared_->mutex);
  pool_counts now;
  now.threads = shared_->threads;
  now.idle = shared_->idle;
  now.running = shared_->running;
  now.submitted = shared_->submitted;
  const auto add = [&now](const worker_lane& lane) {
    const std::size_t queued = std::min(lane.size_, lane.options_.queue_limit);
    now.queued += queued;
    now.waiting += lane.size_ - queued;
  };
  add(shared_->main);
  for (const auto& lane : shared_->lanes) add(*lane);
  return now;
}

std::size_t worker_pool::stuck() const noexcept {
  const std::lock_guard lock(shared_->mutex);
  std::size_t jobs = 0;
  const auto add = [&](const worker_lane& lane) {
    if (shared_->bounds.max == 0 || lane.options_.max_threads == 0) jobs += lane.awaited_;
  };
  add(shared_->main);
  for (const auto& lane : shared_->lanes) add(*lane);
  return jobs;
}

worker_lane& worker_pool::default_lane() noexcept { return shared_->main; }

worker_lane* worker_pool::shared::find(std::string_view name) noexcept {
  if (name == main.name()) return &main;
  for (const auto& lane : lanes) {
    if (lane->name() == name) return lane.get();
  }
  return nullptr;
}

worker_lane* worker_pool::find_lane(std::string_view name) const noexcept {
  const std::lock_guard lock(shared_->mutex);
  return shared_->find(name);
}

worker_lane& worker_pool::make_lane(std::string name, lane_options options) {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->find(name) != nullptr) {
    throw contract_error("cannot make lane " + name + ": it exists");
  }
  return *shared_->lanes.emplace_back(new worker_lane(*this, std::move(name), options));
}

void worker_pool::set_queue_limit(std::size_t jobs) {
  const std::lock_guard lock(shared_->mutex);
  shared_->main.options_.queue_limit = jobs;
}

// ---- jobs ----

// Whether the lane may take a job, once the threads that are free have taken theirs.
bool worker_pool::shared::has_room(const worker_lane& lane) const noexcept {
  const std::size_t others = runnable.load(std::memory_order_relaxed) - lane.startable();
  const std::size_t busy = running + others;
  const std::size_t share = lane.options_.max_threads;
  const std::size_t free = std::min(bounds.max > busy ? bounds.max - busy : 0,
                                    share > lane.running_ ? share - lane.running_ : 0);
  return lane.size_ < free || lane.size_ - free < lane.options_.queue_limit;
}

// Where no thread can be started the job is untouched.
bool worker_pool::put(worker_lane& lane, pool_job& job, bool must_fit) {
  if (&lane.pool_ != this) throw contract_error("cannot submit a job: the lane is another pool's");
  worker* woken = nullptr;
  {
    std::unique_lock lock(shared_->mutex, std::defer_lock);
    detail::lock_soon(lock);
    if (shared_->ending) throw contract_error("cannot submit a job: the pool has ended");
    if (must_fit && !shared_->has_room(lane)) return false;
    shared_->change(lane, [&] { lane.push(job); });
    try {
      woken = shared_->more();
    } catch (...) {
      shared_->change(lane, [&] { lane.unlink(job); });
      throw;
    }
    ++shared_->submitted;
  }
  if (woken != nullptr) woken->wake.notify_one();
  return true;
}

void worker_pool::submit(worker_lane& lane, pool_job& job) {
  static_cast<void>(put(lane, job, false));
}

void worker_pool::submit(unique_function<void()> f) {
  struct plain_job final : pool_job {
    explicit plain_job(unique_function<void()> g) : call(std::move(g)) {}
    void work() noexcept override {
      const std::unique_ptr<plain_job> self(this);
      call();
    }
    void drop() noexcept override { delete this; }
    unique_function<void()> call;
  };
  auto job = std::make_unique<plain_job>(std::move(f));
  submit(*job);
  static_cast<void>(job.release());
}

bool worker_pool::try_submit(worker_lane& lane, pool_job& job) { return put(lane, job, true); }

// Jobs that were taken for short may not be: nobody has started one since the last call, or nobody
// will call again for a while.
void worker_pool::nudge(bool is_last) noexcept {
  if (is_last) {
    shared_->loop_sleeps.store(true);
  } else {
    shared_->loop_sleeps.store(false, std::memory_order_relaxed);
    shared::note_processor(shared_->loop_runs_on);
  }
  if (!shared_->held_back.load()) return;
  worker* woken = nullptr;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->held_back.store(false, std::memory_order_relaxed);
    if (!is_last &&
        std::exchange(shared_->started_at_nudge, shared_->started) != shared_->started) {
      shared_->held_back.store(true, std::memory_order_relaxed);
    } else {
      try {
        woken = shared_->more(true);
      } catch (...) {  // some thread is there, so it does not throw
      }
    }
  }
  if (woken != nullptr) woken->wake.notify_one();
}

bool worker_pool::is_quick() const noexcept {
  return shared_->jobs_are_short(1) && !shared::runs_here(shared_->worker_runs_on);
}

bool worker_pool::remove(pool_job& job) noexcept {
  const std::lock_guard lock(shared_->mutex);
  if (!job.is_queued_) return false;
  shared_->change(*job.lane_, [&] { job.lane_->unlink(job); });
  return true;
}

}  // namespace fermata
