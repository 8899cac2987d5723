// SPDX-License-Identifier: MIT
/// fermata's own threads, for work that cannot pause.
///
/// Shape:  between `min` and `max` threads take jobs first in, first out; an idle thread above
/// `min`
///         leaves after `keep_alive`.
/// Pauses: never; a full queue is told to the caller or lets the job wait, no job ever runs on the
///         loop.
/// Thread: any, unless said otherwise.
#pragma once

#include <fermata/loop/unique_function.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>

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
  std::size_t waiting = 0;  ///< found the queue full
};

class worker_pool {
public:
  using job_id = std::uint64_t;
  static constexpr std::size_t default_queue_limit = 1000;
  static constexpr std::chrono::seconds keep_alive{10};

  worker_pool();
  worker_pool(const worker_pool&) = delete;
  worker_pool& operator=(const worker_pool&) = delete;
  /// Requests the stop of `ending()`, drops the jobs that have not started and waits for those that
  /// run.
  ~worker_pool();

  /// Acts at once both ways: a raised maximum starts queued jobs, a lowered one lets threads leave
  /// after their job. With (0, 0) jobs wait until the bounds rise.
  /// Throws: `contract_error` where min > max.
  void set_bounds(pool_bounds bounds);
  void set_queue_limit(std::size_t jobs);

  /// Queues `job`; nothing where the queue is full, then `job` is untouched.
  /// Throws: std::system_error where no thread can be started and none runs.
  [[nodiscard]] std::optional<job_id> try_submit(unique_function<void()>& job);
  /// The same, but a job that finds the queue full waits, first in, first out, until there is room:
  /// for callers that wait for their job, each for one.
  job_id submit(unique_function<void()>& job);
  /// Takes a job out before it has started; false where it runs or has ended.
  bool remove(job_id id);
  /// Asked to stop when the pool ends; its callbacks run on the thread that destroys the pool.
  [[nodiscard]] std::stop_token ending() const noexcept { return ending_.get_token(); }
  [[nodiscard]] pool_bounds bounds() const;
  [[nodiscard]] pool_counts counts() const;

private:
  struct shared;
  std::unique_ptr<shared> shared_;
  std::stop_source ending_;
};

}  // namespace fermata
