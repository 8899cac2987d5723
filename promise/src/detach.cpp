// SPDX-License-Identifier: MIT
// A detached job's way: pool, worker, letter. It has one owner at each moment.
//
// Invariants: (1) the state is touched on the loop's thread only: ~event_loop waits for the jobs
// that run and delivers what they send before its mailbox closes, so a letter always arrives;
// (2) what job_leaves() counted is given back once, by the letter or by the removal or drop of a
// job that has not started.

#include <fermata/promise/context.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/run_in_loop.hpp>

#include <pthread.h>

namespace fermata::detail {

// Without a lane: the loop's default one.
void detached_job::submit(worker_lane* lane) noexcept {
  try {
    loop_ = &event_loop::current();
    task_ = loop_->current_context();
    values_ = context_values::current();
    worker_pool& pool = loop_->pool();
    lane_ = lane != nullptr ? lane : &pool.default_lane();
    loop_->job_leaves();
    try {
      times_.submitted = loop_->trace().now_anywhere();
      pool.submit(*lane_, *this);
    } catch (...) {
      come_back();
      throw;
    }
  } catch (...) {
    give_up(std::current_exception());
  }
}

void detached_job::come_back() noexcept {
  loop_->job_is_back();
  task_ = {};
}

// On a worker. The letter may be delivered, and this job be gone, before `send` returns.
void detached_job::work() noexcept {
  event_loop& loop = *loop_;
  times_.begun = loop.trace().now_anywhere();
  times_.thread = pthread_self();
  {
    const serving guard(loop, *this);
    const detached_values in_force(values_);
    call();
  }
  times_.ended = loop.trace().now_anywhere();
  static_cast<void>(loop.letters()->send(*this));
}

void detached_job::deliver() noexcept {
  loop_->note_job(times_, task_->name());
  come_back();
  settle();
}

void detached_job::drop() noexcept {
  come_back();
  give_up(std::make_exception_ptr(loop_closed()));
}

std::exception_ptr detached_job::why_stopped() const {
  if (loop_->is_ending()) return std::make_exception_ptr(loop_closed());
  return detail::plain_cancelled();
}

state_base* detached_job::request_cancel() noexcept {
  if (lane_->pool().remove(*this)) {
    come_back();
    give_up(detail::plain_cancelled());
    return nullptr;
  }
  request_stop();
  is_asked_ = awaited_ == nullptr;
  return awaited_;
}

void detached_job::waits_for(state_base* s) noexcept {
  awaited_ = s;
  if (s != nullptr && std::exchange(is_asked_, false)) cancel_state(s);
}

}  // namespace fermata::detail
