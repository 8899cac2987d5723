// SPDX-License-Identifier: MIT
// The pool: one mutex, one condition, threads that decide by the bounds whether they stay.
//
// Invariant: under the mutex, threads <= max(bounds.max, threads that run a job), and a job is
// queued only while no more threads may be started or one has been woken for it. Jobs wait only
// while the queue is full, and their ids are above all in the queue.

#include <fermata/loop/error.hpp>
#include <fermata/loop/worker_pool.hpp>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

namespace fermata {

struct worker_pool::shared {
  struct job {
    job_id id;
    unique_function<void()> call;
  };

  std::mutex mutex;
  std::condition_variable wake;
  std::deque<job> queue;
  std::deque<job> waiting;
  std::list<std::thread> threads;
  std::vector<std::thread> left;  // ended, to be joined
  pool_bounds bounds;
  std::size_t queue_limit = default_queue_limit;
  std::size_t idle = 0;
  job_id next_id = 1;
  bool ending = false;

  job_id queue_last(std::deque<job>& into, unique_function<void()>& call);
  void refill();
  void start_threads();
  void work(std::list<std::thread>::iterator self);
  bool wait_for_job(std::unique_lock<std::mutex>& lock);
};

worker_pool::worker_pool() : shared_(std::make_unique<shared>()) {}

worker_pool::~worker_pool() {
  ending_.request_stop();
  std::deque<shared::job> dropped;
  std::deque<shared::job> dropped_too;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->ending = true;
    dropped.swap(shared_->queue);
    dropped_too.swap(shared_->waiting);
  }
  shared_->wake.notify_all();
  for (;;) {
    std::vector<std::thread> ended;
    {
      std::unique_lock lock(shared_->mutex);
      shared_->wake.wait(lock, [&] { return shared_->threads.empty() || !shared_->left.empty(); });
      ended.swap(shared_->left);
      if (ended.empty()) break;
    }
    for (std::thread& t : ended) t.join();
  }
}

// Under the mutex. Starts what the queue wants and the bounds allow.
void worker_pool::shared::start_threads() {
  for (std::thread& t : left) t.join();
  left.clear();
  const std::size_t wanted =
      std::max(bounds.min, threads.size() + (queue.size() > idle ? queue.size() - idle : 0));
  while (threads.size() < std::min(wanted, bounds.max)) {
    const auto self = threads.emplace(threads.end());
    try {
      *self = std::thread([this, self] { work(self); });
    } catch (...) {
      threads.erase(self);
      if (threads.empty()) throw;
      return;
    }
  }
}

// Under the mutex. False: this thread leaves.
bool worker_pool::shared::wait_for_job(std::unique_lock<std::mutex>& lock) {
  const auto deadline = std::chrono::steady_clock::now() + keep_alive;
  ++idle;
  const auto over = [&] { return ending || threads.size() > bounds.max; };
  bool timed_out = false;
  while (!over() && queue.empty() && !(timed_out && threads.size() > bounds.min)) {
    timed_out = wake.wait_until(lock, deadline) == std::cv_status::timeout;
    if (timed_out && threads.size() <= bounds.min) wake.wait(lock);
  }
  --idle;
  return !over() && !queue.empty();
}

void worker_pool::shared::work(std::list<std::thread>::iterator self) {
  std::unique_lock lock(mutex);
  while (wait_for_job(lock)) {
    job mine = std::move(queue.front());
    queue.pop_front();
    refill();
    lock.unlock();
    mine.call();
    mine.call = nullptr;  // what it captured ends outside of the lock
    lock.lock();
  }
  left.push_back(std::move(*self));
  threads.erase(self);
  wake.notify_all();
}

void worker_pool::set_bounds(pool_bounds bounds) {
  if (bounds.min > bounds.max) throw contract_error("cannot set pool bounds: min is above max");
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->bounds = bounds;
    shared_->start_threads();
  }
  shared_->wake.notify_all();
}

pool_bounds worker_pool::bounds() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->bounds;
}

void worker_pool::set_queue_limit(std::size_t jobs) {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->queue_limit = jobs;
    shared_->refill();
    shared_->start_threads();
  }
  shared_->wake.notify_all();
}

// Under the mutex. Moves what waits into the room there is.
void worker_pool::shared::refill() {
  while (!waiting.empty() && queue.size() < queue_limit) {
    queue.push_back(std::move(waiting.front()));
    waiting.pop_front();
  }
}

// Under the mutex. Gives the job back where no thread can be started.
worker_pool::job_id worker_pool::shared::queue_last(std::deque<job>& into,
                                                    unique_function<void()>& call) {
  const job_id id = next_id++;
  into.push_back({id, std::move(call)});
  try {
    start_threads();
  } catch (...) {
    call = std::move(into.back().call);
    into.pop_back();
    throw;
  }
  wake.notify_one();
  return id;
}

std::optional<worker_pool::job_id> worker_pool::try_submit(unique_function<void()>& job) {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->queue.size() >= shared_->queue_limit) return std::nullopt;
  return shared_->queue_last(shared_->queue, job);
}

worker_pool::job_id worker_pool::submit(unique_function<void()>& job) {
  const std::lock_guard lock(shared_->mutex);
  const bool full = shared_->queue.size() >= shared_->queue_limit;
  return shared_->queue_last(full ? shared_->waiting : shared_->queue, job);
}

bool worker_pool::remove(job_id id) {
  unique_function<void()> dropped;  // ends outside of the lock
  const std::lock_guard lock(shared_->mutex);
  for (std::deque<shared::job>* jobs : {&shared_->queue, &shared_->waiting}) {
    const auto at = std::lower_bound(jobs->begin(), jobs->end(), id,
                                     [](const shared::job& j, job_id i) { return j.id < i; });
    if (at == jobs->end() || at->id != id) continue;
    dropped = std::move(at->call);
    jobs->erase(at);
    shared_->refill();
    return true;
  }
  return false;
}

pool_counts worker_pool::counts() const {
  const std::lock_guard lock(shared_->mutex);
  const std::size_t threads = shared_->threads.size();
  return {threads, shared_->idle, shared_->queue.size(), threads - shared_->idle,
          shared_->waiting.size()};
}

}  // namespace fermata
