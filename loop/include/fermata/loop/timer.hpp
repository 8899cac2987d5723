// SPDX-License-Identifier: MIT
/// Timers: a heap of deadlines on the loop's time source.
///
/// Units:  nanoseconds; a timer is never early.
/// Pauses: never; what is due runs from the ready queue, not inside the loop's poll.
/// Thread: loop.
/// Cost:   O(log n) to start and to cancel, 16 bytes a timer beside the node; no system call but
///         when the loop goes to sleep.
#pragma once

#include <fermata/loop/ready_queue.hpp>
#include <fermata/loop/time_source.hpp>
#include <fermata/loop/unique_function.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <source_location>
#include <vector>

namespace fermata {

class timer_heap;

/// A node that becomes ready at a deadline.
class timer_node : public ready_node {
public:
  [[nodiscard]] bool is_waiting() const noexcept { return index_ != none; }

protected:
  timer_node() noexcept = default;
  ~timer_node();
  /// Takes the node off the timers, or out of the ready queue.
  void stop() noexcept;

private:
  friend class timer_heap;
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  timer_heap* heap_ = nullptr;
  std::uint32_t index_ = none;
  std::uint32_t order_ = 0;  // of the start, counted modulo 2^32
};

/// The deadlines of one loop; equal ones fire in the order they were started.
class timer_heap {
public:
  timer_heap() noexcept = default;
  timer_heap(const timer_heap&) = delete;
  timer_heap& operator=(const timer_heap&) = delete;
  ~timer_heap();
  void start(timer_node& n, time_point deadline);
  void cancel(timer_node& n) noexcept;
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  /// The earliest deadline; time_point::max() where there is none.
  [[nodiscard]] time_point earliest() const noexcept {
    return entries_.empty() ? time_point::max() : entries_.front().deadline;
  }
  /// Takes the earliest node out if it is due, else nullptr.
  timer_node* pop_due(time_point now) noexcept;
  /// Takes any node out, nullptr where there is none.
  timer_node* pop_any() noexcept;

private:
  struct entry {
    time_point deadline;
    timer_node* node;
  };
  static bool before(const entry& a, const entry& b) noexcept {
    if (a.deadline != b.deadline) return a.deadline < b.deadline;
    return static_cast<std::int32_t>(a.node->order_ - b.node->order_) < 0;
  }
  void place(std::size_t i, const entry& e) noexcept;
  [[nodiscard]] std::size_t earliest_child(std::size_t i) const noexcept;
  void sift_up(std::size_t i, entry e) noexcept;
  void sift_down(std::size_t i, entry e) noexcept;
  void remove(std::size_t i) noexcept;

  std::vector<entry> entries_;
  std::uint32_t started_ = 0;
};

inline void timer_node::stop() noexcept {
  if (index_ != none) heap_->cancel(*this);
  unlink();
}

inline timer_node::~timer_node() { stop(); }

/// Calls `f` once after `delay`, unless it is destroyed before.
/// Until its first check reports of the function name `site`.
/// Lifetime: the loop outlives the timer.
class timer final : private timer_node {
public:
  timer(event_loop& loop,
        std::chrono::nanoseconds delay,
        unique_function<void()> f,
        std::source_location site = std::source_location::current());

private:
  void run() noexcept override;
  unique_function<void()> call_;
  std::source_location site_;
};

}  // namespace fermata
