// SPDX-License-Identifier: MIT
/// fermata's own threads, for work that cannot pause.
///
/// Shape:  between `min` and `max` threads take jobs; an idle thread above `min` leaves after
///         `keep_alive`. Jobs stand in lanes, first in, first out, each lane with a limit of its
///         own and a share of the threads; lanes that have jobs take turns.
/// Limit:  the first `queue_limit` jobs of a lane are queued, those behind them wait: no job is
///         refused but by `try_submit`, none ever runs on the loop. A limit of 0 is a rendezvous:
///         `try_submit` takes a job only for a thread that is free.
/// Pauses: never.
/// Thread: any, unless said otherwise.
/// Cost:   a job is intrusive: nothing is allocated. A thread that sleeps is woken where those
///         awake do not suffice, a system call; a thread that has run out of jobs looks for the
///         next one for up to 30 us while that has paid lately.
#pragma once

#include <fermata/loop/unique_function.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

namespace fermata {

struct pool_bounds {
  std::size_t min = 0;
  std::size_t max = 4;
};

struct pool_counts {
  std::size_t threads = 0;
  std::size_t idle = 0;
  std::size_t queued = 0;
  std::size_t running = 0;
  std::size_t waiting = 0;      ///< behind the queue limit
  std::uint64_t submitted = 0;  ///< ever: what is queued or waiting are the last of these
};

inline constexpr std::size_t default_queue_limit = 1000;
inline constexpr std::chrono::seconds default_keep_alive{10};

/// What a lane may use.
struct lane_options {
  lane_options() {}  // no aggregate: safe as a default argument under g++ 12
  std::size_t queue_limit = default_queue_limit;
  /// Jobs of the lane that run at the same time.
  std::size_t max_threads = std::numeric_limits<std::size_t>::max();
};

struct lane_counts {
  std::size_t queued = 0;
  std::size_t running = 0;
  std::size_t waiting = 0;  ///< behind the queue limit
};

class worker_lane;

/// A job, intrusive. It belongs to the pool from `submit` until `work` or `drop` is called or
/// `remove` has taken it out.
class pool_job {
public:
  pool_job(const pool_job&) = delete;
  pool_job& operator=(const pool_job&) = delete;
  /// Thread: a worker. The pool touches the job no more.
  virtual void work() noexcept = 0;
  /// The pool ends first. Thread: that which ends the pool.
  virtual void drop() noexcept = 0;

protected:
  pool_job() noexcept = default;
  /// `is_awaited`: a loop waits for it, and asks `stuck()` whether in vain.
  explicit pool_job(bool is_awaited) noexcept : is_awaited_(is_awaited) {}
  ~pool_job() = default;

private:
  friend class worker_pool;
  friend class worker_lane;
  pool_job* next_ = nullptr;
  pool_job* previous_ = nullptr;
  worker_lane* lane_ = nullptr;
  bool is_queued_ = false;
  bool is_awaited_ = false;
};

class worker_pool {
public:
  worker_pool();
  worker_pool(const worker_pool&) = delete;
  worker_pool& operator=(const worker_pool&) = delete;
  /// `end()`, then waits for the jobs that run. Thread: one that runs no job of the pool.
  ~worker_pool();

  /// Acts at once both ways: a raised maximum starts queued jobs, a lowered one lets threads leave
  /// after their job. With (0, 0) jobs wait until the bounds rise.
  /// Throws: `contract_error` where min > max; std::system_error where no thread can be started.
  void set_bounds(pool_bounds bounds);
  [[nodiscard]] pool_bounds bounds() const;
  /// How long a thread above the minimum waits for a job before it leaves; acts at once.
  void set_keep_alive(std::chrono::nanoseconds d);
  [[nodiscard]] pool_counts counts() const;
  /// Awaited jobs that no thread may start before the bounds, or the share of their lane, rise.
  [[nodiscard]] std::size_t stuck() const noexcept;

  /// The lane that takes jobs which name none.
  [[nodiscard]] worker_lane& default_lane() noexcept;
  /// Lifetime: the pool's. Throws: `contract_error` where a lane of that name exists.
  worker_lane& make_lane(std::string name, lane_options options = {});
  /// The lane of that name, or nullptr.
  [[nodiscard]] worker_lane* find_lane(std::string_view name) const noexcept;
  /// The limit of the default lane.
  void set_queue_limit(std::size_t jobs);

  /// Appends `job` to its lane. Throws: std::system_error where no thread can be started and none
  /// runs, `contract_error` where the lane is another pool's or the pool has ended; then the job is
  /// untouched.
  void submit(worker_lane& lane, pool_job& job);
  void submit(pool_job& job) { submit(default_lane(), job); }
  /// The same with a function, which is destroyed on the worker; what it throws ends the program.
  void submit(unique_function<void()> f);
  /// The same, but false, and `job` is untouched, where the lane's queue is full.
  [[nodiscard]] bool try_submit(worker_lane& lane, pool_job& job);
  [[nodiscard]] bool try_submit(pool_job& job) { return try_submit(default_lane(), job); }
  /// Takes a job out before it has started; false where it runs or has ended.
  bool remove(pool_job& job) noexcept;

  /// No job starts any more: those that have not are dropped, those that run are asked to stop.
  void end() noexcept;
  /// Asked to stop by `end()`, which runs its callbacks.
  [[nodiscard]] std::stop_token ending() const noexcept { return ending_.get_token(); }

  /// What a loop does at its polls: a thread that was held back because jobs were short lately is
  /// woken where they are not short any more. `is_last`: the loop is about to sleep, or is left.
  void nudge(bool is_last) noexcept;
  /// Whether jobs were so short lately that the next one is through before a thread that sleeps
  /// could be woken, and run on another processor than the caller.
  [[nodiscard]] bool is_quick() const noexcept;

private:
  friend class worker_lane;
  struct worker;
  struct shared;
  bool put(worker_lane& lane, pool_job& job, bool must_fit);

  std::unique_ptr<shared> shared_;
  std::stop_source ending_;
};

/// A queue of jobs with a limit and a share of the threads of its own: `worker_pool::make_lane`.
class worker_lane {
public:
  worker_lane(const worker_lane&) = delete;
  worker_lane& operator=(const worker_lane&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Acts at once both ways; jobs that run go on.
  void set_options(lane_options options);
  [[nodiscard]] lane_counts counts() const;
  [[nodiscard]] worker_pool& pool() const noexcept { return pool_; }

private:
  friend class worker_pool;
  worker_lane(worker_pool& pool, std::string name, lane_options options)
      : pool_(pool), name_(std::move(name)), options_(options) {}
  void push(pool_job& job) noexcept;
  void unlink(pool_job& job) noexcept;
  [[nodiscard]] std::size_t startable() const noexcept;

  worker_pool& pool_;
  std::string name_;
  lane_options options_;
  pool_job* first_ = nullptr;
  pool_job* last_ = nullptr;
  std::size_t size_ = 0;
  std::size_t awaited_ = 0;  // of these
  std::size_t running_ = 0;
  worker_lane* next_ = nullptr;  // among those that have a job to start
  bool is_listed_ = false;
};

}  // namespace fermata
