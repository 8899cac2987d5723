// SPDX-License-Identifier: MIT
// Turns, looks and polls.
//
// Invariants: (1) user code runs in run_node only; (2) the meter's allowance is spent before the
// clock is read, so left_ns > 0 means that nothing is due; (3) a gap runs from the end of one look
// or poll to the begin of the next.

#include "mailbox.hpp"
#include "thread_loop.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/worker_pool.hpp>

#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>

namespace fermata {

namespace detail {

thread_local constinit meter* current_meter = nullptr;

}  // namespace detail

thread_local constinit event_loop* running_loop = nullptr;
thread_local constinit event_loop* newest_loop = nullptr;

namespace {

constexpr std::int64_t unlimited_ns = std::numeric_limits<std::int64_t>::max() / 2;
constexpr int timers_per_poll = 256;  // the rest fires at the next poll

std::int64_t thread_cpu_ns() noexcept {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

long voluntary_switches() noexcept {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

}  // namespace

bool detail::due_slowly(meter& m, std::int64_t cost_ns) { return m.loop->due_now(cost_ns); }

// ---- the running loop of a thread ----

event_loop* event_loop::find_current() noexcept {
  return running_loop != nullptr ? running_loop : newest_loop;
}

event_loop& event_loop::current() {
  event_loop* const loop = find_current();
  if (loop == nullptr) throw contract_error("no event loop exists on this thread");
  return *loop;
}

event_loop::running::running(event_loop& loop)
    : loop_(loop), outer_(running_loop), outer_meter_(detail::current_meter) {
  if (loop.is_running_) throw contract_error("cannot run an event loop inside itself");
  loop.is_running_ = true;
  running_loop = &loop;
  detail::current_meter = &loop.meter_;
  loop.begin_turn();
  loop.begin_gap();
}

event_loop::running::~running() {
  loop_.end_gap(loop_.now());
  loop_.is_running_ = false;
  loop_.awaited_ = nullptr;
  running_loop = outer_;
  detail::current_meter = outer_meter_;
}

void event_loop::step() {
  const running guard(*this);
  run_ready();
  poll(false);
}

// ---- turns ----

void event_loop::run_ready() {
  while (ready_node* n = ready_.pop(metrics_.turns)) {
    if (!run_node(*n)) break;
  }
}

// Whether the turn may go on, which the policy of the node decides.
bool event_loop::run_node(ready_node& n) {
  context_ptr previous = exchange_context(std::move(n.context_));
  task_ = {};
  ++metrics_.tasks;
  n.run();
  const bool more = !slice_over_ && !is_used_up(default_cost.count());
  exchange_context(std::move(previous));
  return more;
}

void event_loop::begin_turn() noexcept {
  ++metrics_.turns;
  slice_over_ = false;
  steps_ = 0;
  turn_start_ = last_reading_ = time_.now();
  load_meter();
}

context_ptr event_loop::exchange_context(context_ptr c) noexcept {
  const bool same = c && context_ && c->when() == context_->when();
  context_ptr old = std::exchange(context_, std::move(c));
  if (same) return old;
  const std::int64_t left_ns = meter_.left_ns;
  load_meter();
  meter_.left_ns = std::min(meter_.left_ns, left_ns);  // a change of policy gives no new allowance
  return old;
}

// ---- time within a slice ----

void event_loop::load_meter() noexcept {
  const policy::kind kind = context_->when().what();
  if (kind == policy::kind::greedy && !has_virtual_time()) {
    allowance_ns_ = unlimited_ns;
  } else if (kind == policy::kind::always || kind == policy::kind::quanta ||
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
  }
  const time_point now = time_.now();
  const std::int64_t declared = allowance_ns_ < unlimited_ns ? allowance_ns_ - meter_.left_ns : 0;
  const std::int64_t expected = std::max(declared, cost_ns) + longest_step.count();
  if ((now - last_reading_).count() > expected && allowance_ns_ < unlimited_ns) {
    ++metrics_.overruns;
    metrics_.overrun_site = meter_.site;
  }
  last_reading_ = now;
  return now;
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
  if (!used_up) return kind == policy::kind::each_bind;
  const bool by_time = kind == policy::kind::budget || kind == policy::kind::each_bind;
  if (by_time && !slice_over_ && !somebody_waits(last_reading_)) {
    turn_start_ = last_reading_;
    return kind == policy::kind::each_bind;
  }
  slice_over_ = true;
  load_meter();
  return true;
}

// The look: cheapest question first, stopping at the first yes. The caller of run() waits too, and
// so does the end of the loop, and who has started the task and stands below it on the stack.
bool event_loop::somebody_waits(time_point now) {
  if (task_.nesting > 0) return true;
  if (is_ending_ || (awaited_ != nullptr && !is_awaited_(awaited_))) return true;
  if (!ready_.empty() || !paused_.empty() || timers_.earliest() <= now) return true;
  if (uv_backend_timeout(&uv_) == 0 || epoll_has_events()) return true;
  ++metrics_.looks;
  end_gap(now);
  begin_gap();
  return false;
}

bool event_loop::epoll_has_events() const noexcept {
  epoll_event event{};
  return epoll_wait(uv_backend_fd(&uv_), &event, 1, 0) > 0;
}

// ---- polls ----

void event_loop::poll(bool may_wait) {
  end_gap(time_.now());
  ++metrics_.polls;
  ++metrics_.looks;
  const bool idle = may_wait && ready_.empty() && paused_.empty();
  if (idle && has_virtual_time()) {
    poll_virtual();
  } else if (idle) {
    wait_for_events();
  } else {
    uv_run(&uv_, UV_RUN_NOWAIT);
  }
  begin_gap();
  begin_turn();
  fire_due_timers();
  release_paused();
}

void event_loop::wait_for_events() {
  const time_point next = timers_.earliest();
  if (next <= time_.now()) {
    uv_run(&uv_, UV_RUN_NOWAIT);
    return;
  }
  if (next != time_point::max()) arm_alarm(next);
  uv_run(&uv_, UV_RUN_ONCE);
}

// Nothing is ready: real events first, then virtual time jumps to the next timer.
void event_loop::poll_virtual() {
  uv_run(&uv_, UV_RUN_NOWAIT);
  if (!ready_.empty()) return;
  if (expected_posts_ == 0 && !timers_.empty()) {
    time_.virtual_time()->advance_to(timers_.earliest());
    return;
  }
  if (expected_posts_ == 0 && waiting_watches_ == 0 && options_.on_deadlock) options_.on_deadlock();
  uv_run(&uv_, UV_RUN_ONCE);
}

void event_loop::fire_due_timers() {
  const time_point now = time_.now();
  for (int i = 0; i < timers_per_poll; ++i) {
    timer_node* n = timers_.pop_due(now);
    if (n == nullptr) break;
    ++metrics_.timers_fired;
    make_ready(*n);
  }
}

void event_loop::release_paused() {
  while (ready_node* n = paused_.pop_front()) ready_.push_after_pause(*n, metrics_.turns);
}

// ---- gaps ----

void event_loop::begin_gap() noexcept {
  gap_start_ = time_.now();
  if (!options_.measure_cpu) return;
  gap_cpu_start_ns_ = thread_cpu_ns();
  gap_switches_start_ = voluntary_switches();
}

void event_loop::end_gap(time_point now) noexcept {
  gap_report& longest = metrics_.longest_gap;
  if (now - gap_start_ > longest.wall) {
    longest.wall = now - gap_start_;
    longest.wall_site = meter_.site;
    longest.wall_task = context_->name();
  }
  if (!options_.measure_cpu) return;
  const std::chrono::nanoseconds cpu(thread_cpu_ns() - gap_cpu_start_ns_);
  if (cpu > longest.cpu) {
    longest.cpu = cpu;
    longest.cpu_site = meter_.site;
  }
  const auto switches = static_cast<std::uint64_t>(voluntary_switches() - gap_switches_start_);
  longest.voluntary_switches = std::max(longest.voluntary_switches, switches);
}

void event_loop::reset_gaps() noexcept {
  metrics_.longest_gap = {};
  begin_gap();
}

// ---- queues ----

void event_loop::make_ready(ready_node& n) noexcept { n.context_->loop().ready_.push(n); }

void event_loop::enqueue(ready_node& n) noexcept {
  adopt(n);
  ready_.push(n);
}

void event_loop::enqueue_after_poll(ready_node& n) noexcept {
  adopt(n);
  ++metrics_.pauses;
  paused_.push_back(n);
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
  if (!pool_) pool_ = std::make_unique<worker_pool>();
  return *pool_;
}

}  // namespace fermata
