// SPDX-License-Identifier: MIT
// Calls from a worker to its loop: the call is a letter that stands on the worker's stack; the
// answer is the last that the loop does with it.

#include <fermata/promise/detach.hpp>
#include <fermata/promise/run_in_loop.hpp>

#include <string>

namespace fermata::detail {
namespace {

struct service {
  event_loop* loop = nullptr;
  detached_job* job = nullptr;
};
thread_local constinit service served;

}  // namespace

serving::serving(event_loop& loop, detached_job& job) noexcept { served = {&loop, &job}; }
serving::~serving() { served = {}; }

event_loop& served_loop(const char* what) {
  if (served.loop == nullptr) {
    throw contract_error(std::string(what) + " is called outside of a detached job");
  }
  return *served.loop;
}

void blocking_call::send_and_wait(mailbox& to) {
  if (event_loop::find_current() != nullptr) {
    throw contract_error("run_in_loop would block a thread that has a loop");
  }
  if (served.loop != nullptr && served.loop->letters().get() == &to) job_ = served.job;
  if (!to.send(*this)) throw loop_closed();
  std::unique_lock lock(mutex_);
  answered_.wait(lock, [this] { return is_answered_; });
}

// The job cannot end before the answer.
void blocking_call::waits_for(state_base* s) noexcept {
  if (job_ != nullptr) job_->waits_for(s);
}

// Notified under the lock: once it is free the call may be gone.
void blocking_call::answer() noexcept {
  const std::lock_guard lock(mutex_);
  is_answered_ = true;
  answered_.notify_one();
}

void blocking_call::fail(std::exception_ptr why) noexcept {
  error_ = std::move(why);
  answer();
}

void blocking_call::deliver() noexcept {
  if (event_loop::current().is_ending()) {
    fail(std::make_exception_ptr(loop_closed()));
    return;
  }
  note_site(site_);
  try {
    call();
  } catch (...) {
    waits_for(nullptr);
    fail(std::current_exception());
  }
}

void blocking_call::drop() noexcept { fail(std::make_exception_ptr(loop_closed())); }

}  // namespace fermata::detail
