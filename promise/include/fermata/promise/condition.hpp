// SPDX-License-Identifier: MIT
/// A condition: tasks wait until others say that something has changed.
///
/// Shape:    `co_await c.wait();` goes on at the next notification. `wait(guard)` releases a lock
///           meanwhile and has it again when it goes on. `wait_until(pred)` waits as often as it
///           takes. On one thread no lock is needed where nothing is awaited between the look and
///           the wait.
/// Order:    first in, first out; a notification that nobody waits for is lost.
/// Pauses:   a wait always.
/// Thread:   loop.
/// Rejects:  `cancelled`: a notification that had come goes to the next then, and a lock is held
///           again all the same; `loop_closed`: then it is not; what `fail` was given.
/// Cost:     O(1) and no allocation; to notify all O(tasks that wait), in steps of 256;
///           `wait(guard)` and `wait_until` are coroutines.
/// Lifetime: who waits for a condition that is destroyed is rejected with `contract_error`.
#pragma once

#include <fermata/promise/mutex.hpp>

#include <cstddef>
#include <exception>
#include <source_location>
#include <utility>

namespace fermata {

class condition;

namespace detail {

class condition_wait {
public:
  using result = void;
  struct slot {
    std::exception_ptr failure;
  };
  explicit condition_wait(condition& c) noexcept : condition_(&c) {}
  [[nodiscard]] bool is_ready() const noexcept { return false; }
  void perform() const noexcept {}
  void take(slot& s) const {
    if (s.failure) std::rethrow_exception(std::move(s.failure));
  }
  [[nodiscard]] wait_queue& queue() const noexcept;

private:
  condition* condition_;
};

class condition_queue final : public wait_queue {
public:
  /// With a failure: all are rejected with it.
  void notify_all(std::exception_ptr failure) noexcept {
    if (failure != failure_) hurry();
    failure_ = std::move(failure);
    grant_all();
  }

private:
  bool give_to(wait_node& n) noexcept override {
    waiting<condition_wait>::slot_of(n).failure = failure_;
    return true;
  }
  std::exception_ptr failure_;
};

}  // namespace detail

class condition {
public:
  using wait_operation = operation<detail::condition_wait>;

  wait_operation wait(std::source_location site = std::source_location::current()) noexcept {
    return {detail::condition_wait(*this), site};
  }
  /// Throws: `contract_error` where `held` holds no lock.
  /// Lifetime: `held` and its mutex outlive the promise.
  promise<> wait(mutex::guard& held);
  /// Waits until `pred()` says so; it is asked at once and after each notification.
  template <typename Pred>
  requires std::predicate<Pred&> promise<> wait_until(Pred pred) {
    while (!pred()) {
      co_await wait();
    }
  }

  /// Lets the one go on that has waited longest. False: nobody waits.
  bool notify_one() noexcept {
    detail::wait_node* n = waiters_.front_wanted();
    if (n == nullptr) return false;
    waiters_.grant(*n);
    return true;
  }
  void notify_all() noexcept { waiters_.notify_all(nullptr); }
  /// Rejects all that wait.
  void fail(const std::exception_ptr& e) noexcept { waiters_.notify_all(e); }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiters_.size(); }

private:
  friend class detail::condition_wait;
  detail::condition_queue waiters_;
};

inline detail::wait_queue& detail::condition_wait::queue() const noexcept {
  return condition_->waiters_;
}

}  // namespace fermata
