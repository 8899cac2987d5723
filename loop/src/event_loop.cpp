// SPDX-License-Identifier: MIT
// Turns and the time within a slice.
//
// Invariants: (1) user code runs in run_node only; (2) the meter's allowance is spent before the
// clock is read, so left_ns > 0 means that nothing is due.

#include "mailbox.hpp"
#include "observer.hpp"
#include "ticks.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/worker_pool.hpp>

#include <algorithm>

namespace fermata {

namespace detail {

thread_local constinit meter* current_meter = nullptr;
thread_local constinit event_loop* running_loop = nullptr;
thread_local constinit event_loop* newest_loop = nullptr;

}  // namespace detail

// Under a budget in real time the processor's counter says that the slice is not over, and that
// nothing took longer than it may; all else is the clock's to say.
inline bool event_loop::is_within_slice() noexcept {
  const std::uint64_t slice = context_->slice_ticks_;
  if (slice == 0 || slice_over_) return false;
  const std::uint64_t now = detail::ticks();
  if (now - last_ticks_ > longest_step_ticks_ || now - turn_start_ticks_ >= slice) [[unlikely]]
    return false;
  last_ticks_ = now;
  meter_.left_ns = allowance_ns_;
  return true;
}

bool detail::due_slowly(meter& m, std::int64_t cost_ns) {
  return !m.loop->is_within_slice() && m.loop->due_now(cost_ns);
}

// ---- the running loop of a thread ----

void event_loop::report_no_loop() { throw contract_error("no event loop exists on this thread"); }

event_loop::running::running(event_loop& loop, std::source_location site) : running(loop) {
  loop.meter_.site.store(site, std::memory_order_relaxed);
  if (loop.observer_ != nullptr) loop.observer_->call_begins();
}

event_loop::running::running(event_loop& loop)
    : loop_(loop), outer_(detail::running_loop), outer_meter_(detail::current_meter) {
  if (loop.is_running_) throw contract_error("cannot run an event loop inside itself");
  loop.is_running_ = true;
  loop.thread_ = this_thread();
  detail::running_loop = &loop;
  detail::current_meter = &loop.meter_;
  loop.meter_.site.store({}, std::memory_order_relaxed);
  loop.mailbox_->stay_awake();
  loop.letter_node_->collect();
  const time_point now = loop.now();
  loop.begin_turn(now);
  loop.begin_gap(now);
}

event_loop::running::~running() {
  loop_.note_step_ended();
  loop_.end_gap(loop_.now());
  loop_.pulse_.held_since_ns.store(0, std::memory_order_relaxed);
  if (loop_.pool_) loop_.pool_->nudge(true);                 // nobody polls until the next run
  if (!loop_.mailbox_->may_sleep()) loop_.mailbox_->wake();  // who waits for the descriptor
  loop_.is_running_ = false;
  loop_.awaited_ = nullptr;
  detail::running_loop = outer_;
  detail::current_meter = outer_meter_;
}

// ---- turns ----

// Whether the turn may go on, which the policy of the node decides that has just run.
inline bool event_loop::may_go_on() {
  if (is_within_slice()) return true;
  return !slice_over_ && !is_used_up(default_cost.count());
}

inline void event_loop::enter(const context_ptr& c) noexcept {
  if (!(c == context_)) exchange_context(c);
}

void event_loop::run_ready() {
  const context_ptr outer = context_;
  while (ready_node* n = ready_.pop(metrics_.turns)) {
    enter(n->context_);
    task_ = {};
    meter_.site.store({}, std::memory_order_relaxed);  // the last check was another task's
    ++metrics_.tasks;
    if (observer_ != nullptr) [[unlikely]] {
      run_observed(*n);
    } else {
      n->run();
    }
    if (!may_go_on()) break;
  }
  if (!(outer == context_)) ran_last_ = exchange_context(outer);
}

void event_loop::run_observed(ready_node& n) {
  observer_->node_begins(n);
  n.run();
  note_step_ended();
}

void event_loop::note_step_ended() noexcept {
  if (observer_ == nullptr) return;  // what ran has stopped the trace
  observer_->node_ends(meter_.site.load(std::memory_order_relaxed), context_->name());
}

void event_loop::note_ready(const ready_node& n) noexcept {
  observer_->became_ready(n, context_->name());
}

void event_loop::begin_turn(time_point now) noexcept {
  ++metrics_.turns;
  pulse_.turn.store(metrics_.turns, std::memory_order_relaxed);
  slice_over_ = false;
  steps_ = 0;
  turn_start_ = turn_begun_ = last_reading_ = now;
  turn_start_ticks_ = last_ticks_ = detail::ticks();
  pulse_.checked_ns.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  load_meter();
}

context_ptr event_loop::exchange_context(context_ptr c) noexcept {
  const bool same = c && context_ && c->when() == context_->when();
  context_ptr old = std::exchange(context_, std::move(c));
  pulse_.running.store(context_.get(), std::memory_order_release);
  if (same) return old;
  const std::int64_t left_ns = meter_.left_ns;
  load_meter();
  meter_.left_ns = std::min(meter_.left_ns, left_ns);  // a change of policy gives no new allowance
  return old;
}

// ---- time within a slice ----

void event_loop::load_meter() noexcept {
  const policy::kind kind = context_->when().what();
  if (kind == policy::kind::always || kind == policy::kind::quanta ||
      kind == policy::kind::each_bind || slice_over_ || has_virtual_time()) {
    allowance_ns_ = 0;
  } else {
    allowance_ns_ = clock_interval.count();
  }
  meter_.left_ns = allowance_ns_;
}

time_point event_loop::read_clock(std::int64_t cost_ns) noexcept {
  if (virtual_clock* clock = time_.virtual_time()) {
    clock->advance(std::chrono::nanoseconds(cost_ns));
    if (options_.check_costs.count() > 0) check_cost(cost_ns);
  }
  const time_point now = time_.now();
  const std::uint64_t ticks = detail::ticks();
  if (longest_step_ticks_ == 0) {
    note_overrun((now - last_reading_).count(), cost_ns);
  } else if (ticks - last_ticks_ > longest_step_ticks_) {
    const auto took = static_cast<double>(ticks - last_ticks_);
    note_overrun(static_cast<std::int64_t>(took * 1000 / detail::ticks_per_us()), cost_ns);
  }
  last_reading_ = now;
  last_ticks_ = ticks;
  pulse_.checked_ns.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  if (observer_ != nullptr) [[unlikely]]
    observer_->checked(meter_.site.load(std::memory_order_relaxed));
  return now;
}

void event_loop::note_overrun(std::int64_t took_ns, std::int64_t cost_ns) noexcept {
  const std::int64_t declared = std::max(allowance_ns_ - meter_.left_ns, cost_ns);
  if (took_ns <= declared + longest_step.count()) return;
  ++metrics_.overruns;
  metrics_.overrun_site = meter_.site.load(std::memory_order_relaxed);
}

// The policy of what runs now decides whether its turn is over, without asking who waits.
bool event_loop::is_used_up(std::int64_t cost_ns) {
  const policy& when = context_->when();
  const time_point now = read_clock(cost_ns);
  load_meter();
  switch (when.what()) {
    case policy::kind::greedy:
      return false;
    case policy::kind::always:
      return true;
    case policy::kind::quanta:
      return ++steps_ >= when.steps();
    case policy::kind::budget:
    case policy::kind::each_bind:
      return now - turn_start_ >= when.slice();
  }
  return true;
}

bool event_loop::due_now(std::int64_t cost_ns) {
  const bool used_up = is_used_up(cost_ns);
  const policy::kind kind = context_->when().what();
  if (task_.no_pause > 0) return false;
  if (options_.seed && kind != policy::kind::greedy && pauses_by_seed()) return true;
  if (!used_up) return kind == policy::kind::each_bind;
  const bool by_time = kind == policy::kind::budget || kind == policy::kind::each_bind;
  if (by_time && !slice_over_ && !somebody_waits(last_reading_)) {
    turn_start_ = last_reading_;
    turn_start_ticks_ = last_ticks_;
    return kind == policy::kind::each_bind;
  }
  slice_over_ = true;
  load_meter();
  return true;
}

// ---- queues ----

void event_loop::run_nested(ready_node& n) noexcept {
  event_loop* const loop = n.context_->find_loop();
  if (loop == nullptr || loop != detail::running_loop || loop->task_.nesting >= nesting_limit) {
    make_ready(n);
    return;
  }
  const task_state outer = std::exchange(loop->task_, task_state{loop->task_.nesting + 1, 0});
  const context_ptr outer_context = loop->context_;
  loop->enter(n.context_);
  ++loop->metrics_.tasks;
  n.run();
  loop->enter(outer_context);
  loop->task_ = outer;
}

void event_loop::make_ready_first(ready_node& n) noexcept {
  if (event_loop* const loop = n.context_->find_loop()) {
    if (loop->observer_ != nullptr) [[unlikely]]
      loop->note_ready(n);
    loop->ready_.push_front(n);
  } else {
    n.lost();
  }
}

void event_loop::enqueue_after_poll(ready_node& n) noexcept {
  adopt(n);
  ++metrics_.pauses;
  if (observer_ != nullptr) [[unlikely]]
    observer_->paused(n, meter_.site.load(std::memory_order_relaxed), context_->name());
  const bool is_prompt = context_->latency() == latency_class::prompt;
  (is_prompt ? paused_prompt_ : paused_bulk_).push_back(n);
}

void event_loop::give_way(ready_node& n) noexcept {
  if (context_->when().queues_binds() && !slice_over_) {
    enqueue(n);
  } else {
    enqueue_after_poll(n);
  }
}

void event_loop::start(timer_node& n, time_point deadline) {
  adopt(n);
  timers_.start(n, deadline);
}

// ---- reports ----

void event_loop::log(log_level level, std::string_view area, std::string_view message) const {
  if (options_.log) options_.log(level, area, message);
}

void event_loop::report_unobserved(std::exception_ptr e) noexcept {
  ++metrics_.unobserved_rejections;
  try {
    if (options_.on_unobserved) {
      options_.on_unobserved(std::move(e));
    } else {
      log(log_level::warn, "loop", "nobody saw a rejection: " + message_of(e));
    }
  } catch (...) {
    ++metrics_.unobserved_rejections;  // the hook itself failed, and there is nobody left to tell
  }
}

worker_pool& event_loop::pool() {
  if (is_ending_) throw loop_closed();
  if (!pool_) {
    pool_ = std::make_unique<worker_pool>();
    pulse_.pool.store(pool_.get(), std::memory_order_release);
  }
  return *pool_;
}

}  // namespace fermata
