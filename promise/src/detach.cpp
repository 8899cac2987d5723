// SPDX-License-Identifier: MIT
// A detached job's way: pool, worker, letter. It has one owner at each moment.
//
// Invariants: (1) the resolver is used on the loop's thread only: ~event_loop ends the pool before
// the mailbox closes, so a letter always arrives; (2) what expect_post() counted is given back
// once, by the letter or by the drop of a job that has not started.

#include <fermata/promise/detach.hpp>

namespace fermata::detail {

// What the pool holds: a job that is dropped before it starts tells its promise.
struct detached_job::holder {
  explicit holder(std::unique_ptr<detached_job> j) noexcept : job(std::move(j)) {}
  holder(holder&&) noexcept = default;
  holder& operator=(holder&&) = delete;
  ~holder() {
    if (job == nullptr) return;
    if (job->is_expected_) job->loop_->got_post();
    job->give_up(job->is_cancelled_ ? std::make_exception_ptr(cancelled())
                                    : std::make_exception_ptr(loop_closed()));
  }

  void operator()() {
    const std::shared_ptr<mailbox> letters = job->loop_->letters();
    if (job->stop.stop_possible()) {
      const std::stop_callback at_end(ending, [this] { job->stop.request_stop(); });
      job->call();
    } else {
      job->call();
    }
    letters->post([done = std::move(job)] {
      if (done->is_expected_) done->loop_->got_post();
      done->settle();
    });
  }

  std::unique_ptr<detached_job> job;
  std::stop_token ending;
};

void detached_job::submit(std::unique_ptr<detached_job> job) {
  detached_job& self = *job;
  holder held(std::move(job));
  unique_function<void()> call;
  try {
    self.loop_ = &event_loop::current();
    worker_pool& pool = self.loop_->pool();
    held.ending = pool.ending();
    const bool is_expected = pool.bounds().max > 0;  // else nothing comes back before they rise
    call = unique_function<void()>(std::move(held));
    if (is_expected) self.expect();
    self.id_ = pool.submit(call);
  } catch (...) {
    self.give_up(std::current_exception());  // `held` or `call` has it still
  }
}

void detached_job::expect() noexcept {
  is_expected_ = true;
  loop_->expect_post();
}

void detached_job::cancel() noexcept {
  is_cancelled_ = true;
  worker_pool* pool = loop_->find_pool();
  if (pool != nullptr && pool->remove(id_)) return;  // and this job with it
  stop.request_stop();
}

}  // namespace fermata::detail
