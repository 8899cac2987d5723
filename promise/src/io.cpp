// SPDX-License-Identifier: MIT
// A coroutine's wait for a descriptor.
//
// Invariant: while outcome_ is `waits` and the node is in no queue, the watch has it in its slot;
// so whoever wakes it first (event, close, cancel, end of the loop) wins, and the others see it.

#include <fermata/promise/io.hpp>

namespace fermata::detail {

void io_awaiter::await_suspend(std::coroutine_handle<> self) {
  watch_.wait(direction_, *this);  // throws before anything has changed
  try {
    coroutine_.suspend(this, self);
  } catch (...) {
    watch_.stop_waiting(direction_);
    throw;
  }
  has_waited_ = true;
  move_in(event_loop::current());
}

void io_awaiter::await_resume() {
  if (outcome_ == outcome::loop_ended) throw loop_closed();
  if (outcome_ == outcome::cancelled) throw cancelled();
  // Where the descriptor is ready a request waits for the next suspension: what came first wins.
  if (!has_waited_ && coroutine_.take_cancel()) throw cancelled();
}

state_base* io_awaiter::cancel_wait() noexcept {
  if (is_linked()) {
    if (outcome_ == outcome::waits) coroutine_.remember_cancel();
  } else {
    stop(outcome::cancelled);
  }
  return nullptr;
}

void io_awaiter::stop(outcome why) noexcept {
  if (is_linked() || outcome_ != outcome::waits) return;
  outcome_ = why;
  watch_.stop_waiting(direction_);
  event_loop::make_ready(*this);
}

}  // namespace fermata::detail
