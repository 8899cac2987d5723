// SPDX-License-Identifier: MIT
// Suspending a coroutine, cancelling its wait, and the guard that forbids to suspend.

#include <fermata/promise/promise.hpp>

namespace fermata::detail {

void coroutine_base::suspend(suspension* at, std::coroutine_handle<> self) {
  if (event_loop::current().task().no_pause > 0) {
    throw contract_error("a task suspends under a no_pause guard");
  }
  leave();
  self_ = self;
  waiting_ = at;
}

void coroutine_base::wait(state_base& s, std::coroutine_handle<> self, std::source_location site) {
  if (s.producer() == this) std::rethrow_exception(waits_for_itself());
  suspend(nullptr, self);
  site_ = site;
  if (!s.is_pending()) {
    take(s);
    event_loop::current().give_way(*this);
    return;
  }
  wait_for(s);
  if (cancel_requested_) cancel_state(leave_wait());
}

void coroutine_base::pause(bool after_poll, std::coroutine_handle<> self) {
  suspend(nullptr, self);
  site_ = current_meter->site.load(std::memory_order_relaxed);  // of the check that has led here
  event_loop& loop = event_loop::current();
  if (after_poll) {
    loop.enqueue_after_poll(*this);
  } else {
    loop.give_way(*this);
  }
}

// Gives the state that a request goes on to. Where others wait for it too the coroutine leaves it
// and goes on with `cancelled`.
state_base* coroutine_base::leave_wait() noexcept {
  state_base* next = cancel_or_leave(*this);
  if (next == nullptr) {
    has_left_ = true;
    event_loop::make_ready(*this);
  }
  return next;
}

state_base* coroutine_base::request_cancel() noexcept {
  if (has_left_) return nullptr;  // it is on its way with `cancelled`
  if (waiting_ != nullptr) return waiting_->cancel_wait();
  cancel_requested_ = true;
  return is_waiting() ? leave_wait() : nullptr;
}

std::exception_ptr coroutine_base::take_error(state_base& s, std::source_location site) {
  if (std::exchange(has_left_, false)) {
    cancel_requested_ = false;
    return plain_cancelled();
  }
  const std::exception_ptr& e = s.error();
  if (is_cancelled(e)) cancel_requested_ = false;
  thrown_ = std::make_unique<thrown>(e, rejection_path(site, s.path()));
  return e;
}

void coroutine_base::reject_with_current(state_base& s) noexcept {
  std::exception_ptr e = std::current_exception();
  if (thrown_ != nullptr && thrown_->error == e) {
    s.reject(std::move(e), std::move(thrown_->path));
  } else {
    s.reject(std::move(e));
  }
}

}  // namespace fermata::detail
