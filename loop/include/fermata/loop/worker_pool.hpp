// SPDX-License-Identifier: MIT
/// fermata's own threads, for work that cannot pause.
///
/// Shape:  between `min` and `max` threads take jobs first in, first out; an idle thread above
/// `min`
///         leaves after `keep_alive`.
/// Pauses: never; a full queue is told to the caller, no job ever runs on the loop.
/// Thread: any, unless said otherwise.
#pragma once

#include <fermata/loop/unique_function.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

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
};

class worker_pool {
public:
  using job_id = std::uint64_t;
  static constexpr std::size_t default_queue_limit = 1000;
  static constexpr std::chrono::seconds keep_alive{10};

  worker_pool();
  worker_pool(const worker_pool&) = delete;
  worker_pool& operator=(const worker_pool&) = delete;
  /// Drops the jobs that have not started and waits for those that run.
  ~worker_pool();

  /// Acts at once both ways: a raised maximum starts queued jobs, a lowered one lets threads leave
  /// after their job. With (0, 0) jobs wait until the bounds rise.
  /// Throws: `contract_error` where min > max.
  void set_bounds(pool_bounds bounds);
  void set_queue_limit(std::size_t jobs);

  /// Queues `job`; nothing where the queue is full, then `job` is untouched.
  /// Throws: std::system_error where no thread can be started and none runs.
  [[nodiscard]] std::optional<job_id> try_submit(unique_function<void()>& job);
  /// Takes a job out of the queue; false where it runs or has ended.
  bool remove(job_id id);
  [[nodiscard]] pool_counts counts() const;

private:
  struct shared;
  std::unique_ptr<shared> shared_;
};

}  // namespace fermata
