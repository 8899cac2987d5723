// SPDX-License-Identifier: MIT
/// Waiting for time to pass: nanoseconds on the loop's time source; a sleep is never early.
///
/// Pauses:  until it is time.
/// Thread:  loop.
/// Rejects: `cancelled` at once when it is cancelled.
/// Cost:    a sleep is one allocation and O(log n) on the loop's timers.
#pragma once

#include <fermata/promise/promise.hpp>

#include <algorithm>
#include <chrono>

namespace fermata {

[[nodiscard]] promise<> sleep_for(std::chrono::nanoseconds d);
[[nodiscard]] promise<> sleep_until(time_point t);

/// The time that `with_timeout` or a deadline gave was over.
///
/// Shape: `what()` is "timed out after 5 ms"; below 1 ms in us.
class timed_out : public error {
public:
  explicit timed_out(std::chrono::nanoseconds after);
};

namespace detail {

/// Settles like a promise unless the time is over first.
template <typename T>
class timeout_node final : public timer_node, public canceller {
public:
  static promise<T> make(time_point deadline, std::chrono::nanoseconds d, promise<T> p) {
    if (!p.is_pending()) return p;
    auto* out = new state<T>;
    promise<T> result = access::handle(out);
    auto* node = new timeout_node(d, out);
    node->guarded_.wait_for(access::root(p));
    event_loop::current().start(*node, deadline);
    return result;
  }

private:
  struct guarded final : waiter {
    explicit guarded(timeout_node& o) : owner(o) {}
    void run() noexcept override { owner.settle(); }
    void drop() noexcept override { owner.give_up(std::make_exception_ptr(broken_promise())); }
    timeout_node& owner;
  };

  timeout_node(std::chrono::nanoseconds d, state<T>* out) : guarded_(*this), after_(d), out_(out) {
    out_->set_producer(this);
  }
  ~timeout_node() { out_->release(); }

  void run() noexcept override {
    is_over_ = !is_asked_;
    if (state_base* s = pass_on()) cancel_state(s);
  }
  state_base* request_cancel() noexcept override {
    is_asked_ = true;
    return pass_on();
  }
  state_base* pass_on() noexcept {
    if (!guarded_.is_waiting()) return nullptr;
    state_base* s = cancel_or_leave(guarded_);
    if (s == nullptr) give_up(detail::plain_cancelled());
    return s;
  }
  void settle() noexcept {
    promise<T> p = access::handle(static_cast<state<T>*>(guarded_.upstream()));
    guarded_.let_go();
    if (is_over_ && p.is_rejected() && is_cancelled(p.error())) {
      give_up(p.error());
      return;
    }
    settle_like(out_->typed_root(), std::move(p));
    delete this;
  }
  void give_up(std::exception_ptr e) noexcept {
    out_->root().reject(is_over_ ? std::make_exception_ptr(timed_out(after_)) : std::move(e));
    delete this;
  }

  guarded guarded_;
  std::chrono::nanoseconds after_;
  state<T>* out_;
  bool is_asked_ = false;  // to end, by others
  bool is_over_ = false;   // and nobody had asked before
};

}  // namespace detail

/// Settles like `p`; when `d` is over before, `p` is cancelled and, once it has ended, the result
/// is rejected with `timed_out`. A value that comes in spite of the cancel wins. Where the result
/// was cancelled before, `d` still ends what goes on, but the outcome is that of `p`: `cancelled`.
template <typename T>
promise<T> with_timeout(std::chrono::nanoseconds d, promise<T> p) {
  const time_point deadline = event_loop::current().after(d);
  return detail::timeout_node<T>::make(deadline, d, std::move(p));
}

/// The same at a time of the loop's clock. What has settled by now is not late.
template <typename T>
promise<T> with_deadline(time_point t, promise<T> p) {
  const time_point now = event_loop::current().now();
  return detail::timeout_node<T>::make(t, std::max(t, now) - now, std::move(p));
}

}  // namespace fermata
