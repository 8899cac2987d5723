// SPDX-License-Identifier: MIT
// The pool: one mutex, intrusive lanes, threads that decide by the bounds whether they stay.
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

#include <fermata/loop/error.hpp>
#include <fermata/loop/worker_pool.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace fermata {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::chrono::microseconds longest_search{30};
constexpr unsigned misses_before_rest = 4;  // searches in vain until most of them are left out
constexpr unsigned rest = 16;
constexpr std::chrono::microseconds wake_pays{20};  // work that is worth waking a thread for
constexpr unsigned jobs_per_reading = 8;

void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

struct worker_pool::worker {
  std::thread thread;
  std::condition_variable wake;
  worker* below = nullptr;  // in the stack of sleepers
  bool is_asleep = false;
  clock::time_point run_start;
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
  std::chrono::nanoseconds job_time = std::chrono::milliseconds(1);  // of late, on average
  std::size_t started_at_nudge = 0;
  std::size_t started = 0;
  std::uint64_t submitted = 0;
  std::atomic<bool> held_back = false;
  std::atomic<bool> loop_sleeps = true;  // or has not polled yet
  bool ending = false;

  [[nodiscard]] worker_lane* find(std::string_view name) noexcept;
  template <typename Change>
  void change(worker_lane& lane, Change&& apply);
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
  [[nodiscard]] bool must_leave() const noexcept { return ending || threads > bounds.max; }
};

// ---- lanes ----

std::size_t worker_lane::startable() const noexcept {
  return running_ < options_.max_threads ? std::min(size_, options_.max_threads - running_) : 0;
}

void worker_lane::push(pool_job& job) noexcept {
  job.lane_ = this;
  job.is_queued_ = true;
  job.next_ = nullptr;
  job.previous_ = last_;
  (last_ == nullptr ? first_ : last_->next_) = &job;
  last_ = &job;
  ++size_;
}

void worker_lane::unlink(pool_job& job) noexcept {
  (job.previous_ == nullptr ? first_ : job.previous_->next_) = job.next_;
  (job.next_ == nullptr ? last_ : job.next_->previous_) = job.previous_;
  job.is_queued_ = false;
  --size_;
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

// Changes a lane and what follows from it.
template <typename Change>
void worker_pool::shared::change(worker_lane& lane, Change&& apply) {
  const std::size_t before = lane.startable();
  apply();
  const std::size_t now = lane.startable();
  runnable.store(runnable.load(std::memory_order_relaxed) + now - before,
                 std::memory_order_relaxed);
  if (now == 0 || lane.is_listed_) return;
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

// ---- threads ----

// Whom to notify once the mutex is free, or nullptr.
worker_pool::worker* worker_pool::shared::more(bool even_if_short) {
  const std::size_t wanted = runnable.load(std::memory_order_relaxed);
  if (wanted <= (searching ? 1 : 0) || waking > 0) return nullptr;
  if (sleepers == nullptr && threads >= bounds.max) return nullptr;
  if (!even_if_short && running > 0 && job_time * wanted < wake_pays) {
    held_back.store(true);
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
    worker_lane& lane = *job->lane_;
    worker* const other = more();
    lock.unlock();
    if (other != nullptr) other->wake.notify_one();
    job->work();
    ++self.run_jobs;
    lock.lock();
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
    job_time = (job_time * 3 + (now - self.run_start) / self.run_jobs) / 4;
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
    for (int i = 0; i < 16 && !found; ++i) {
      relax();
      found = runnable.load(std::memory_order_relaxed) > 0;
    }
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
    } else if (self.wake.wait_until(lock, begin + keep_alive) == std::cv_status::timeout) {
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

// ---- the pool ----

worker_pool::worker_pool() : shared_(std::make_unique<shared>(*this)) {}

worker_pool::~worker_pool() {
  end();
  std::unique_lock lock(shared_->mutex);
  shared_->all_left.wait(lock, [&] { return shared_->threads == 0; });
  shared_->join_left();
}

void worker_pool::end() noexcept {
  ending_.request_stop();
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
    const std::lock_guard lock(shared_->mutex);
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

bool worker_pool::remove(pool_job& job) noexcept {
  const std::lock_guard lock(shared_->mutex);
  if (!job.is_queued_) return false;
  shared_->change(*job.lane_, [&] { job.lane_->unlink(job); });
  return true;
}

}  // namespace fermata
