// SPDX-License-Identifier: MIT
/// What a loop tells other threads about itself while it is held.
///
/// Shape:  the loop stores, relaxed and without a lock; a reader takes the mutex of the watch_post
///         so that the loop, its pool and the running context stay alive while it reads.
/// Thread: written by the loop, read by any.
/// Cost:   a plain store for each value on the loop's side.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

namespace fermata {

class context;
class event_loop;
class worker_pool;

namespace detail {

struct pulse {
  std::atomic<std::uint64_t> turn{0};
  std::atomic<std::int64_t> held_since_ns{0};  // end of the last look; 0: asleep or not running
  std::atomic<std::int64_t> checked_ns{0};     // the last clock reading between two steps
  std::atomic<const context*> running{nullptr};
  std::atomic<worker_pool*> pool{nullptr};
  // Lateness of timers that the gap before them does not explain: how often, and the latest.
  std::atomic<std::uint64_t> timer_lags{0};
  std::atomic<std::int64_t> timer_lag_ns{0};
};

/// Where the watchers of a loop stand; it outlives the loop.
///
/// What a reader may reach through `running` is freed only after `pass`, which waits for a reader:
/// by then the loop has stored another pointer. `watchers` is raised on the loop's own thread, so
/// a loop that reads 0 has nobody to wait for. All changes of `readers` are read-modify-writes:
/// either the reader's comes later, and it sees the other pointer, or `pass` sees the reader. So a
/// loop that frees one context after the other does not keep a reader from the mutex.
struct watch_post {
  std::mutex mutex;
  event_loop* loop = nullptr;  // nullptr: the loop has ended
  std::atomic<int> watchers{0};
  std::atomic<int> readers{0};  // 1 while one reads, under the mutex

  void pass() noexcept {
    if (watchers.load(std::memory_order_relaxed) == 0) return;
    if (readers.fetch_add(0, std::memory_order_acq_rel) == 0) return;
    const std::lock_guard wait_for_reader(mutex);
  }
};

/// Marks its owner as the reader; it holds the mutex.
class reading {
public:
  explicit reading(watch_post& post) noexcept : lock_(post.mutex), post_(post) {
    post.readers.fetch_add(1, std::memory_order_acq_rel);
  }
  reading(const reading&) = delete;
  reading& operator=(const reading&) = delete;
  ~reading() { post_.readers.fetch_sub(1, std::memory_order_acq_rel); }

private:
  std::lock_guard<std::mutex> lock_;
  watch_post& post_;
};

}  // namespace detail
}  // namespace fermata
