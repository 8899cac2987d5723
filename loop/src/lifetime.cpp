// SPDX-License-Identifier: MIT
// The begin and the end of a loop: the mailbox, and who still waits.

#include "libuv_loop.hpp"
#include "mailbox.hpp"
#include "observer.hpp"
#include "ticks.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/worker_pool.hpp>

#include <mutex>

namespace fermata {
namespace {

constexpr int closing_rounds = 10'000;  // tasks that wait anew while their loop ends

}  // namespace

event_loop::event_loop(loop_options options)
    : time_(options.clock),
      options_(std::move(options)),
      post_(std::make_shared<detail::watch_post>()),
      root_(new context(*this, options_.when, latency_class::bulk, "root")),
      context_(root_),
      mailbox_(new mailbox()),
      letter_node_(std::make_unique<letter_node>(*this)) {
  meter_.loop = this;
  post_->loop = this;
  pulse_.running.store(root_.get(), std::memory_order_release);
  if (!has_virtual_time()) longest_step_ticks_ = detail::to_ticks(longest_step);
  gap_start_ = last_reading_ = turn_start_ = time_.now();
  if (options_.uv != nullptr) enter_host();
  mailbox_->poller_ = &poller_;
  trace_ = std::make_unique<event_trace>(*this, options_.trace);
  observes_ = std::make_unique<detail::observer>(*this, metrics_, *trace_);
  observe();
  random_ = options_.seed.value_or(0);
  older_ = std::exchange(detail::newest_loop, this);
}

event_loop::~event_loop() {
  event_loop* const outer = std::exchange(detail::running_loop, this);
  detail::meter* const outer_meter = std::exchange(detail::current_meter, &meter_);
  is_ending_ = true;
  {
    const std::lock_guard no_readers(post_->mutex);
    post_->loop = nullptr;
  }
  if (pool_) pool_->end();
  finish();
  wait_for_jobs();
  pool_.reset();
  while (contexts_ != nullptr) {
    context* const c = contexts_;
    contexts_ = std::exchange(c->next_, nullptr);
    c->back_ = nullptr;
    c->loop_ = nullptr;
  }
  close_mailbox();
  close_libuv();
  leave_host();
  detail::current_meter = outer_meter;
  detail::running_loop = outer;
  for (event_loop** at = &detail::newest_loop; *at != nullptr; at = &(*at)->older_) {
    if (*at != this) continue;
    *at = older_;
    break;
  }
}

void event_loop::note_job(const job_times& t, std::string_view name) noexcept {
  trace_->add_job(t, name);
  if (!options_.measure_steps) return;
  metrics_.pool_wait.record(trace_->between(t.submitted, t.begun));
}

void event_loop::observe() noexcept {
  const bool traces = trace_->is_started();
  observes_->look_for(options_.measure_steps, traces);
  observer_ = options_.measure_steps || traces ? observes_.get() : nullptr;
}

// Rejects what waits until nobody waits any more; a task that waits anew is rejected anew.
void event_loop::finish() noexcept {
  for (int round = 0; round < closing_rounds; ++round) {
    if (round < letter_rounds) letter_node_->collect();
    while (residents_ != nullptr) {
      loop_resident* r = residents_;
      r->move_out();
      r->loop_ends();
    }
    while (timer_node* n = timers_.pop_any()) n->lost();
    if (own_uv_ != nullptr) uv_run(uv_, UV_RUN_NOWAIT);
    release_paused();
    if (ready_.empty()) break;
    while (!ready_.empty()) {
      begin_turn(time_.now());
      run_ready();
    }
  }
  // Only tasks that waited anew ten thousand times are left: they are dropped where they stand.
  if (!ready_.empty()) log(log_level::error, "loop", "tasks would not end with their loop");
  while (ready_node* n = ready_.pop(0)) n->lost();
  ran_last_ = {};
}

// One of them may wait for this loop in run_in_loop: what ends here answers it.
void event_loop::wait_for_jobs() noexcept {
  while (jobs_ > 0) {
    static_cast<void>(sleep());
    finish();
  }
}

context::context(event_loop& loop, policy p, latency_class c, std::string name)
    : loop_(&loop),
      next_(loop.contexts_),
      back_(&loop.contexts_),
      post_(loop.post_),
      name_(std::move(name)),
      slice_ticks_(0),
      policy_(p),
      class_(c) {
  if (next_ != nullptr) next_->back_ = &next_;
  loop.contexts_ = this;
  if (p.what() == policy::kind::budget && !loop.has_virtual_time()) {
    slice_ticks_ = detail::to_ticks(p.slice());
  }
}

context::~context() {
  if (back_ == nullptr) return;
  *back_ = next_;
  if (next_ != nullptr) next_->back_ = back_;
}

void context::destroy(context* c) noexcept {
  c->post_->pass();
  delete c;
}

}  // namespace fermata
