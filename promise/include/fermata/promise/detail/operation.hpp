// SPDX-License-Identifier: MIT
/// Operations that may wait: to be awaited without an allocation, or turned into a promise.
///
/// Shape:   `Op` has `result`, `is_ready()`, `perform()` that does it now, `queue()` to wait in, a
///          `slot` for what is granted and `take(slot)` that gives it; it may have `weight()`, and
///          `request_cancel()`, the state that a cancel of the wait goes on to. An operation begins
///          when it is awaited or turned into a promise, not before.
/// Pauses:  an await checks the slice before it performs, never after: what has been taken, a lock
///          or an item, is with its task at once.
/// Thread:  loop.
/// Rejects: what `perform` and `take` throw; `cancelled` at once while it waits; `loop_closed`;
///          `contract_error` where what it waits for is destroyed.
/// Cost:    awaited: no allocation; as a promise: one.
#pragma once

#include <fermata/promise/detail/wait_queue.hpp>
#include <fermata/promise/promise.hpp>

#include <concepts>
#include <source_location>
#include <utility>

namespace fermata {
namespace detail {

/// A waiting operation as whoever grants it sees it.
template <typename Op>
class waiting : public wait_node {
public:
  [[nodiscard]] static Op& op_of(wait_node& n) noexcept { return static_cast<waiting&>(n).op_; }
  [[nodiscard]] static typename Op::slot& slot_of(wait_node& n) noexcept {
    return static_cast<waiting&>(n).slot_;
  }

protected:
  waiting(bool is_promise, Op&& op) : wait_node(is_promise, weight_of(op)), op_(std::move(op)) {}
  ~waiting() = default;
  static std::size_t weight_of(const Op& op) noexcept {
    if constexpr (requires { op.weight(); }) return op.weight();
    return 0;
  }

  /// Whether it is not known yet how the wait ends.
  [[nodiscard]] bool is_open() const noexcept {
    return this->is_queued() && op_.queue().holds(*this);
  }
  /// For a node that is in the list: the request goes on to what will end the wait, or ends it.
  state_base* cancel_queued() noexcept {
    if constexpr (requires { op_.request_cancel(); }) {
      return op_.request_cancel();
    } else {
      op_.queue().cancel(*this);
      return nullptr;
    }
  }

  Op op_;
  typename Op::slot slot_{};  // beside the operation, which is moved: this is not
};

template <typename Op>
class operation_awaiter final : public waiting<Op>, public suspension {
public:
  operation_awaiter(coroutine_base& co, Op&& op, std::source_location site)
      : waiting<Op>(false, std::move(op)), coroutine_(co), site_(site) {}

  [[nodiscard]] bool await_ready() {
    pauses_ = false;
    if (!this->op_.is_ready()) {
      note_site(site_);
      return false;
    }
    pauses_ = due(default_cost, site_);
    return !pauses_;
  }
  void await_suspend(std::coroutine_handle<> self) {
    coroutine_.suspend(this, self);
    if (pauses_) {
      event_loop::current().give_way(*this);
    } else {
      wait();
    }
  }
  typename Op::result await_resume() {
    if (this->stage() == wait_stage::outside) return this->op_.perform();
    if (this->stage() != wait_stage::granted) throw_end_of(this->stage());
    return this->op_.take(this->slot_);
  }

  void run() noexcept override {
    if (this->stage() == wait_stage::outside && !this->op_.is_ready()) {
      wait();
    } else {
      if (this->is_asked() && this->stage() == wait_stage::granted) coroutine_.remember_cancel();
      note_site(site_);  // until the next check this is where the task is
      coroutine_.resume();
    }
  }
  state_base* cancel_wait() noexcept override {
    if (this->is_open()) return this->cancel_queued();
    if (this->is_queued()) {
      this->ask();
    } else {
      coroutine_.remember_cancel();
    }
    return nullptr;
  }

private:
  void wait() {
    this->op_.queue().push(*this);
    coroutine_.deliver_cancel();
  }

  coroutine_base& coroutine_;
  std::source_location site_;
  bool pauses_ = false;
};

/// The state of an operation's promise while it waits.
template <typename Op>
class operation_state final : public state<typename Op::result>,
                              public waiting<Op>,
                              private canceller {
public:
  using result = typename Op::result;
  /// Throws: `contract_error` where there is no loop.
  static promise<result> wait(Op&& op) {
    static_cast<void>(event_loop::current());
    auto* s = new operation_state(std::move(op));
    promise<result> p = access::handle(static_cast<state<result>*>(s));
    s->set_producer(s);
    s->op_.queue().push(*s);
    return p;
  }

private:
  explicit operation_state(Op&& op) : waiting<Op>(true, std::move(op)) {}

  /// The wait has ended: the list's count of this state is given back.
  void run() noexcept override {
    state<result>& root = this->typed_root();
    try {
      if (this->stage() != wait_stage::granted) throw_end_of(this->stage());
      if constexpr (std::is_void_v<result>) {
        this->op_.take(this->slot_);
        root.resolve();
      } else {
        root.resolve(this->op_.take(this->slot_));
      }
    } catch (...) {
      root.reject(std::current_exception());
    }
    this->release();
  }
  [[nodiscard]] bool is_held() const noexcept override {
    auto& self = const_cast<operation_state&>(*this);
    return self.root().handles() > 0 || self.root().has_waiters();
  }
  state_base* request_cancel() noexcept override {
    if (this->is_open()) return this->cancel_queued();
    this->ask();
    return nullptr;
  }
};

}  // namespace detail

/// What `send`, `receive`, `lock` and the like give: awaited at once, or turned into a promise.
template <typename Op>
class [[nodiscard]] operation {
public:
  using value_type = typename Op::result;

  operation(Op op, std::source_location site) : op_(std::move(op)), site_(site) {}
  operation(operation&&) = default;
  operation& operator=(operation&&) = delete;

  [[nodiscard]] detail::operation_awaiter<Op> awaiter_for(detail::coroutine_base& co) && {
    return {co, std::move(op_), site_};
  }
  /// Begins at once; for combinators: `with_timeout(1s, in.receive().as_promise())`.
  [[nodiscard]] promise<value_type> as_promise() && {
    try {
      if (!op_.is_ready()) return detail::operation_state<Op>::wait(std::move(op_));
      if constexpr (std::is_void_v<value_type>) {
        op_.perform();
        return ready();
      } else {
        return ready<value_type>(op_.perform());
      }
    } catch (...) {
      return rejected<value_type>(std::current_exception());
    }
  }
  operator promise<value_type>() && { return std::move(*this).as_promise(); }

private:
  Op op_;
  std::source_location site_;
};

}  // namespace fermata
