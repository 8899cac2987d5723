// SPDX-License-Identifier: MIT
/// Coroutines that return a promise: their frame, their start and what they may await.
///
/// Shape:  the frame belongs to what it waits for and is freed when the body ends; the promise's
///         state is apart from it. Completion goes through the queue, never by symmetric transfer.
/// Thread: loop.
#pragma once

#include <fermata/promise/promise.hpp>

#include <coroutine>

namespace fermata::detail {

struct access {
  template <typename T>
  static promise<T> handle(state<T>* s) {
    return promise<T>(s);
  }
  template <typename T>
  static resolver<T> end(state<T>* s) {
    return resolver<T>(s);
  }
  template <typename T>
  static state<T>& root(const promise<T>& p) {
    return p.root();
  }
};

/// What a coroutine is suspended at, where that can be cancelled.
class suspension {
public:
  /// Gives the state to cancel, or nullptr after it has made the coroutine ready itself.
  virtual state_base* cancel_wait() noexcept = 0;

protected:
  ~suspension() = default;
};

/// The part of a frame that does not depend on its type.
class coroutine_base : public canceller {
public:
  coroutine_base() noexcept = default;
  coroutine_base(const coroutine_base&) = delete;
  coroutine_base& operator=(const coroutine_base&) = delete;

  /// The body begins, nested in what called it.
  void enter() noexcept {
    event_loop::task_state& task = event_loop::current().task();
    ++task.nesting;
    outer_no_pause_ = std::exchange(task.no_pause, 0);
    is_nested_ = true;
  }
  /// Control leaves the body for its caller, at its first suspension or its end.
  void leave() noexcept {
    if (!is_nested_) return;
    is_nested_ = false;
    event_loop::task_state& task = event_loop::current().task();
    --task.nesting;
    task.no_pause = outer_no_pause_;
  }
  /// Suspends: `at` can be cancelled; nullptr where the coroutine is in a queue already.
  /// Throws: `contract_error` under a `no_pause` guard; then nothing has changed.
  void suspend(suspension* at, std::coroutine_handle<> self);
  /// To be called when all of a suspension at something pending has been set up.
  void deliver_cancel() noexcept {
    if (waiting_ != nullptr && std::exchange(cancel_requested_, false)) {
      cancel_state(waiting_->cancel_wait());
    }
  }
  [[nodiscard]] bool take_cancel() noexcept { return std::exchange(cancel_requested_, false); }
  [[nodiscard]] bool cancel_is_requested() const noexcept { return cancel_requested_; }
  /// Keeps a request for the next wait: what the coroutine waited for has come already.
  void remember_cancel() noexcept { cancel_requested_ = true; }
  void resume() noexcept {
    waiting_ = nullptr;
    self_.resume();
  }
  void destroy() noexcept { self_.destroy(); }

  state_base* request_cancel() noexcept override {
    if (waiting_ != nullptr) return waiting_->cancel_wait();
    cancel_requested_ = true;
    return nullptr;
  }

protected:
  ~coroutine_base() = default;

private:
  std::coroutine_handle<> self_;
  suspension* waiting_ = nullptr;
  int outer_no_pause_ = 0;
  bool is_nested_ = false;
  bool cancel_requested_ = false;
};

/// What a coroutine may `co_await` beside promises: a small value whose `awaiter_for(coroutine)`
/// gives the awaiter as a prvalue (g++ 12 copies what `await_transform` gives by reference).
template <typename A>
concept awaitable = requires(A a, coroutine_base& co) {
  std::move(a).awaiter_for(co);
};

/// Starts the body at once, or from the queue where too many are nested.
class start_awaiter final : public ready_node {
public:
  explicit start_awaiter(coroutine_base& co) noexcept : coroutine_(co) {}
  [[nodiscard]] bool await_ready() {
    at_once_ = event_loop::current().task().nesting < nesting_limit;
    return at_once_;
  }
  void await_suspend(std::coroutine_handle<> self) {
    coroutine_.suspend(nullptr, self);
    event_loop::current().enqueue(*this);
  }
  void await_resume() noexcept {
    if (at_once_) coroutine_.enter();
  }
  void run() noexcept override { coroutine_.resume(); }

private:
  coroutine_base& coroutine_;
  bool at_once_ = true;
};

/// Awaits a promise: goes on at once when it has settled and nothing is due.
template <typename T>
class promise_awaiter : public waiter, public suspension {
public:
  promise_awaiter(coroutine_base& co, state<T>& s) noexcept : coroutine_(co), state_(s) {}

  [[nodiscard]] bool await_ready() const { return !state_.is_pending() && !due(); }
  void await_suspend(std::coroutine_handle<> self) {
    const bool pending = state_.is_pending();
    coroutine_.suspend(pending ? this : nullptr, self);
    if (pending) {
      wait_for(state_);
      coroutine_.deliver_cancel();
    } else {
      take(state_);
      event_loop::current().give_way(*this);
    }
  }

  void run() noexcept override { coroutine_.resume(); }
  void drop() noexcept override { coroutine_.destroy(); }
  state_base* cancel_wait() noexcept override {
    if (!is_waiting()) {
      if (!has_left_) coroutine_.remember_cancel();
      return nullptr;
    }
    state_base* next = cancel_or_leave(*this);
    if (next == nullptr) {
      has_left_ = true;
      event_loop::make_ready(*this);
    }
    return next;
  }

protected:
  [[nodiscard]] state<T>& settled() {
    if (has_left_) throw cancelled();
    if (state_.now() == phase::rejected) std::rethrow_exception(state_.error());
    return state_;
  }
  [[nodiscard]] coroutine_base& coroutine() noexcept { return coroutine_; }
  [[nodiscard]] state<T>& awaited() noexcept { return state_; }

private:
  coroutine_base& coroutine_;
  state<T>& state_;
  bool has_left_ = false;
};

template <typename T>
class lvalue_awaiter final : public promise_awaiter<T> {
public:
  using promise_awaiter<T>::promise_awaiter;
  decltype(auto) await_resume() {
    state<T>& s = this->settled();
    if constexpr (!std::is_void_v<T>) return std::as_const(s.value());
  }
};

/// Moves the value of `s` out where nobody else could see it, else copies it.
/// `own` is how many of the state's counts are the caller's.
template <typename T>
T take_value(state<T>& s, std::uint32_t own) {
  if (s.count() == own) return std::move(s.value());
  if constexpr (std::is_copy_constructible_v<T>) {
    return s.value();
  } else {
    throw contract_error("a value that can only be moved is awaited by several");
  }
}

template <typename T>
class rvalue_awaiter : public promise_awaiter<T> {
public:
  rvalue_awaiter(coroutine_base& co, promise<T>&& p)
      : promise_awaiter<T>(co, access::root(p)), promise_(std::move(p)) {}
  T await_resume() {
    state<T>& s = this->settled();
    this->let_go();
    if constexpr (!std::is_void_v<T>) return take_value(s, 1);
  }

protected:
  [[nodiscard]] promise<T>& held() noexcept { return promise_; }

private:
  promise<T> promise_;
};

template <typename T>
class tail_awaiter final : public rvalue_awaiter<T> {
public:
  using rvalue_awaiter<T>::rvalue_awaiter;
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> self) {
    if constexpr (std::is_same_v<Promise, coroutine_promise<T>>) {
      state<T>& inner = this->awaited();
      if (inner.is_pending() && inner.is_private()) {
        replace(self, inner);
        return;
      }
    }
    rvalue_awaiter<T>::await_suspend(self);
  }

private:
  // The frame, and this awaiter in it, is gone afterwards.
  static void replace(std::coroutine_handle<coroutine_promise<T>> self, state<T>& inner) {
    coroutine_promise<T>& co = self.promise();
    co.suspend(nullptr, self);
    const bool cancel_it = co.take_cancel();
    state<T>* outer = co.give_up_state();
    inner.forward_to(outer->root());
    self.destroy();
    if (cancel_it) cancel_state(outer);
    outer->release();
  }
};

template <typename T>
struct tail_call {
  promise<T> inner;
};

template <typename T>
class coroutine_state : public coroutine_base {
public:
  coroutine_state() : state_(new state<T>) { state_->set_producer(this); }
  ~coroutine_state() {
    if (state_ == nullptr) return;
    if (state_->count() > 1) state_->root().reject(std::make_exception_ptr(broken_promise()));
    state_->release();
  }

  promise<T> get_return_object() { return access::handle(state_); }
  start_awaiter initial_suspend() noexcept { return start_awaiter(*this); }
  /// The body is left only here: a guard in it ends after `return_value`.
  std::suspend_never final_suspend() noexcept {
    this->leave();
    return {};
  }
  void unhandled_exception() noexcept {
    finish([](state<T>& s) { s.reject(std::current_exception()); });
  }
  /// The state, whose producer this frame no longer is.
  state<T>* give_up_state() noexcept { return std::exchange(state_, nullptr); }

  template <typename U>
  lvalue_awaiter<U> await_transform(const promise<U>& p) {
    return lvalue_awaiter<U>(*this, access::root(p));
  }
  template <typename U>
  lvalue_awaiter<U> await_transform(promise<U>& p) {
    return lvalue_awaiter<U>(*this, access::root(p));
  }
  template <typename U>
  rvalue_awaiter<U> await_transform(promise<U>&& p) {
    return rvalue_awaiter<U>(*this, std::move(p));
  }
  template <typename U>
  tail_awaiter<U> await_transform(tail_call<U>&& t) {
    return tail_awaiter<U>(*this, std::move(t.inner));
  }
  template <awaitable A>
  auto await_transform(A&& a) {
    return std::forward<A>(a).awaiter_for(*this);
  }

protected:
  template <typename Settle>
  void finish(Settle&& settle) {
    settle(state_->typed_root());
    std::exchange(state_, nullptr)->release();
  }

private:
  state<T>* state_;
};

template <typename T>
struct coroutine_promise final : coroutine_state<T> {
  template <typename U = T>
  requires std::convertible_to<U&&, T>
  void return_value(U&& value) {
    this->finish([&](state<T>& s) { s.resolve(std::forward<U>(value)); });
  }
};

template <>
struct coroutine_promise<void> final : coroutine_state<void> {
  void return_void() {
    finish([](state<void>& s) { s.resolve(); });
  }
};

}  // namespace fermata::detail

namespace fermata {

template <typename T>
auto tail(promise<T> p) {
  return detail::tail_call<T>{std::move(p)};
}

}  // namespace fermata

#include <fermata/promise/detail/then.hpp>  // here, so that each header compiles alone
