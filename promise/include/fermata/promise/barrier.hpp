// SPDX-License-Identifier: MIT
/// Tasks that wait for each other: all go on when the last one has arrived.
///
/// Shape:    `const bool last = co_await b.arrive_and_wait();` is true for one task of each round,
///           the last. The barrier is used for any number of rounds.
/// Pauses:   all but the last, which checks the slice.
/// Thread:   loop.
/// Rejects:  `cancelled`: the task has then not arrived; `loop_closed`.
/// Throws:   `contract_error` for a barrier of nobody.
/// Cost:     no allocation; O(1), for the last O(tasks).
/// Lifetime: who waits for a barrier that is destroyed is rejected with `contract_error`.
#pragma once

#include <fermata/promise/detail/operation.hpp>

#include <cstddef>
#include <source_location>

namespace fermata {

class barrier;

namespace detail {

class barrier_arrival {
public:
  using result = bool;
  struct slot {};
  explicit barrier_arrival(barrier& b) noexcept : barrier_(&b) {}
  [[nodiscard]] bool is_ready() const noexcept;
  [[nodiscard]] bool perform() const noexcept;
  [[nodiscard]] bool take(slot) const noexcept { return false; }
  [[nodiscard]] wait_queue& queue() const noexcept;

private:
  barrier* barrier_;
};

}  // namespace detail

class barrier {
public:
  using arrival = operation<detail::barrier_arrival>;

  explicit barrier(std::size_t tasks) : tasks_(tasks) {
    if (tasks == 0) throw contract_error("a barrier of no task at all");
  }
  arrival arrive_and_wait(std::source_location site = std::source_location::current()) noexcept {
    return {detail::barrier_arrival(*this), site};
  }
  [[nodiscard]] std::size_t tasks() const noexcept { return tasks_; }
  /// How many have arrived in this round.
  [[nodiscard]] std::size_t arrived() const noexcept { return waiters_.size(); }

private:
  friend class detail::barrier_arrival;
  std::size_t tasks_;
  detail::wait_queue waiters_;
};

inline bool detail::barrier_arrival::is_ready() const noexcept {
  return barrier_->waiters_.size() + 1 >= barrier_->tasks_;
}
inline bool detail::barrier_arrival::perform() const noexcept {
  barrier_->waiters_.grant_all();
  return true;
}
inline detail::wait_queue& detail::barrier_arrival::queue() const noexcept {
  return barrier_->waiters_;
}

}  // namespace fermata
