// SPDX-License-Identifier: MIT
/// Coroutines that return a promise: their frame, their start and what they may await.
///
/// Shape:  the frame belongs to what it waits for and is freed when the body ends; the promise's
///         state is apart from it. Completion goes through the queue, never by symmetric transfer.
/// Thread: loop.
#pragma once

#include <fermata/promise/detail/copyable.hpp>
#include <fermata/promise/promise.hpp>

#include <coroutine>

namespace fermata::detail {

/// What `async_trace` shows.
[[nodiscard]] std::string trace_of(state_base& s);

struct access {
  template <typename T>
  static promise<T> handle(state<T>* s) {
    return promise<T>(s);
  }
  /// The same where the hold of the maker becomes the handle's.
  template <typename T>
  static promise<T> adopt(state<T>* s) noexcept {
    s->turn_into_handle();
    return promise<T>(s, has_handle());
  }
  template <typename T>
  static resolver<T> end(state<T>* s) {
    return resolver<T>(s);
  }
  template <typename T>
  static state<T>& root(const promise<T>& p) {
    return p.root();
  }
  /// A promise that has a value and no state.
  template <typename T>
  static promise<T> with_value(own_value<T> v) noexcept {
    return promise<T>(has_value(), v);
  }
  template <typename T>
  static bool holds_value(const promise<T>& p) noexcept {
    return p.holds_value();
  }
  template <typename T>
  static T value_of(const promise<T>& p) noexcept {
    if constexpr (!std::is_void_v<T>) return p.own_.value;
  }
};

/// What a coroutine is suspended at beside a promise, where that can be cancelled.
class suspension {
public:
  /// Gives the state to cancel, or nullptr after it has made the coroutine ready itself.
  virtual state_base* cancel_wait() noexcept = 0;

protected:
  ~suspension() = default;
};

/// The part of a frame that does not depend on its type. It waits for promises by itself.
///
/// A request for an end is kept until a wait has ended in `cancelled` or a check has thrown it.
class coroutine_base : public waiter, public canceller {
public:
  coroutine_base() noexcept = default;
  coroutine_base(const coroutine_base&) = delete;
  coroutine_base& operator=(const coroutine_base&) = delete;

  static void* operator new(std::size_t bytes) { return block_cache::take(bytes); }
  static void operator delete(void* p, std::size_t bytes) noexcept {
    block_cache::give_back(p, bytes);
  }

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
  /// Suspends before the body begins.
  void suspend_start(std::coroutine_handle<> self) noexcept { self_ = self; }
  /// Suspends until `s` has settled or, where it has, until the thread has been given back.
  void wait(state_base& s, std::coroutine_handle<> self, std::source_location site);
  /// Suspends and goes on after the next poll, or by `give_way`.
  void pause(bool after_poll, std::coroutine_handle<> self);
  /// Whether a wait ended because of a request, its promise left behind.
  [[nodiscard]] bool has_left() const noexcept { return has_left_; }
  /// What a wait for `s` ended with. The awaiter throws it: each frame between a throw and its
  /// handler is searched twice, and one that must clean up on the way costs a second throw.
  [[gnu::cold, nodiscard]] std::exception_ptr take_error(state_base& s, std::source_location site);
  /// Rejects `s` with the exception that is handled now, and with the way it came where it is the
  /// one that was rethrown last.
  void reject_with_current(state_base& s) noexcept;

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

  void run() noexcept override {
    note_site(site_);  // until the next check this is where the task is
    resume();
  }
  void drop() noexcept override { destroy(); }
  state_base* request_cancel() noexcept override;
  hop describe() const noexcept override { return {site_, is_waiting() ? upstream() : nullptr}; }

protected:
  ~coroutine_base() = default;

private:
  state_base* leave_wait() noexcept;

  std::coroutine_handle<> self_;
  suspension* waiting_ = nullptr;
  std::source_location site_;  // of the last wait for a promise
  std::unique_ptr<thrown> thrown_;
  int outer_no_pause_ = 0;
  bool is_nested_ = false;
  bool cancel_requested_ = false;
  bool has_left_ = false;
};

/// What a coroutine may `co_await` beside promises: a small value whose `awaiter_for(coroutine)`
/// gives the awaiter as a prvalue (g++ 12 copies what `await_transform` gives by reference).
template <typename A>
concept awaitable = requires(A a, coroutine_base& co) {
  std::move(a).awaiter_for(co);
};

/// Starts the body at once, or from the queue where too many are nested: 64, or 4 when the turn is
/// over.
class start_awaiter {
public:
  explicit start_awaiter(coroutine_base& co) noexcept : coroutine_(co) {}
  [[nodiscard]] bool await_ready() {
    const bool at_once = event_loop::current().may_start();
    if (at_once) coroutine_.enter();
    return at_once;
  }
  void await_suspend(std::coroutine_handle<> self) noexcept {
    coroutine_.suspend_start(self);
    event_loop::current().enqueue(coroutine_);
  }
  void await_resume() noexcept {}

private:
  coroutine_base& coroutine_;
};

/// Awaits a promise: goes on at once when it has settled and nothing is due.
template <typename T>
class promise_awaiter {
public:
  /// No state where the handle holds the value: until `await`.
  promise_awaiter(coroutine_base& co, state<T>* s, std::source_location site) noexcept
      : coroutine_(co), state_(s), site_(site) {}
  promise_awaiter(const promise_awaiter&) = delete;
  promise_awaiter& operator=(const promise_awaiter&) = delete;
  ~promise_awaiter() {
    if (coroutine_.holds()) [[unlikely]]
      coroutine_.let_go();
  }

  [[nodiscard]] bool await_ready() const {
    if (state_->is_pending()) {
      note_site(site_);
      return false;
    }
    return goes_on();
  }
  void await_suspend(std::coroutine_handle<> self) { coroutine_.wait(*state_, self, site_); }

protected:
  /// With what has settled.
  [[nodiscard]] bool goes_on() const {
    const bool gives_way = due(default_cost, site_);
    return keeps_thread<T> || !gives_way;
  }
  [[nodiscard]] state<T>& settled() {
    if (coroutine_.has_left() || state_->now() != phase::resolved) [[unlikely]]
      std::rethrow_exception(coroutine_.take_error(*state_, site_));
    return *state_;
  }
  void let_go() noexcept { coroutine_.let_go(); }
  void await(state<T>& s) noexcept { state_ = &s; }
  [[nodiscard]] state<T>* awaited() noexcept { return state_; }

private:
  coroutine_base& coroutine_;
  state<T>* state_;
  std::source_location site_;
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
  if constexpr (is_copyable<T>::value) {
    return s.value();
  } else {
    throw contract_error("a value that can only be moved is awaited by several");
  }
}

template <typename T>
class rvalue_awaiter : public promise_awaiter<T> {
public:
  rvalue_awaiter(coroutine_base& co, promise<T>&& p, std::source_location site)
      : promise_awaiter<T>(co, access::holds_value(p) ? nullptr : &access::root(p), site),
        promise_(std::move(p)) {}
  [[nodiscard]] bool await_ready() const {
    return access::holds_value(promise_) ? this->goes_on() : promise_awaiter<T>::await_ready();
  }
  void await_suspend(std::coroutine_handle<> self) {
    if (access::holds_value(promise_)) this->await(access::root(promise_));
    promise_awaiter<T>::await_suspend(self);
  }
  T await_resume() {
    if constexpr (own_value<T>::may_be) {
      if (access::holds_value(promise_)) return access::value_of(promise_);
    }
    state<T>& s = this->settled();
    this->let_go();
    if constexpr (!std::is_void_v<T>) return take_value(s, 1);
  }

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
      state<T>* const inner = this->awaited();
      const canceller* const own = &self.promise();
      if (inner != nullptr && inner->is_pending() && inner->is_private() &&
          inner->producer() != own) {
        replace(self, *inner);
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
  coroutine_state() : state_(new state<T>(alone)) { state_->set_producer(this); }
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
    if (state_ == nullptr) {  // a destructor threw after the value had been returned
      event_loop::current().report_unobserved(std::current_exception());
      return;
    }
    finish([this](state<T>& s) { this->reject_with_current(s); });
  }
  /// The state, whose producer this frame no longer is.
  state<T>* give_up_state() noexcept { return std::exchange(state_, nullptr); }

  template <typename U>
  lvalue_awaiter<U> await_transform(const promise<U>& p,
                                    std::source_location site = std::source_location::current()) {
    return lvalue_awaiter<U>(*this, &access::root(p), site);
  }
  template <typename U>
  lvalue_awaiter<U> await_transform(promise<U>& p,
                                    std::source_location site = std::source_location::current()) {
    return lvalue_awaiter<U>(*this, &access::root(p), site);
  }
  template <typename U>
  rvalue_awaiter<U> await_transform(promise<U>&& p,
                                    std::source_location site = std::source_location::current()) {
    return rvalue_awaiter<U>(*this, std::move(p), site);
  }
  template <typename U>
  tail_awaiter<U> await_transform(tail_call<U>&& t,
                                  std::source_location site = std::source_location::current()) {
    return tail_awaiter<U>(*this, std::move(t.inner), site);
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
auto tail(promise<T>&& p) {
  return detail::tail_call<T>{std::move(p)};
}

}  // namespace fermata

#include <fermata/promise/detail/then.hpp>  // here, so that each header compiles alone
