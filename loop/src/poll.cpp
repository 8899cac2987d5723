// SPDX-License-Identifier: MIT
// Looks, polls, and the gaps between them.
//
// Invariant: a gap runs from the end of one look or poll to the begin of the next.

#include "mailbox.hpp"
#include "relax.hpp"

#include <fermata/loop/block_cache.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/worker_pool.hpp>

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <thread>

namespace fermata {

namespace {

constexpr int timers_per_poll = 256;  // the rest fires at the next poll
constexpr std::chrono::microseconds longest_linger{8};
constexpr std::chrono::microseconds lingering_turn{50};
constexpr int relaxes = 8;  // between two looks
constexpr int price_in_vain = 8;
constexpr int most_credit = 16;
constexpr std::chrono::nanoseconds least_lag_told = std::chrono::milliseconds(1);

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

// ---- looks ----

// The look: cheapest question first, stopping at the first yes. The caller of run() waits too, and
// so does the end of the loop, and who has started the task and stands below it on the stack. An
// event that nobody waits for is noted, and nobody is kept from going on.
bool event_loop::somebody_waits(time_point now) {
  if (task_.nesting > 0) return true;
  if (is_ending_ || (awaited_ != nullptr && !is_awaited_(awaited_))) return true;
  if (!is_idle() || mailbox_->has_letters()) return true;
  if (timers_.earliest() <= now || libuv_is_due(now)) return true;
  const detail::poller::found what = poller_.poll(false);
  if (what.libuv || !is_idle() || (host_ != nullptr && host_waits())) return true;
  ++metrics_.looks;
  end_gap(now);
  begin_gap(now);
  return false;
}

bool event_loop::is_idle() const noexcept { return ready_.empty() && !has_paused(); }

// ---- waiting awake ----

// Jobs that were short lately are back before this thread could fall asleep and be woken. So we
// wait for their letters awake, for about as long as a wake-up takes, while that mostly pays. True:
// letters have come, and the turn goes on. After 50 us of a turn events are looked for first.
bool event_loop::lingers(bool& may_wait) noexcept {
  if (!is_idle() || !may_linger()) return false;
  time_point now = time_.now();
  const time_point in_vain = std::min(now + longest_linger, timers_.earliest());
  const time_point end = std::min(in_vain, turn_begun_ + lingering_turn);
  while (!mailbox_->has_letters()) {
    for (int i = 0; i < relaxes; ++i) detail::relax();
    now = time_.now();
    if (now < end) continue;
    may_wait = now >= in_vain;
    if (may_wait) linger_credit_ -= price_in_vain;
    return false;
  }
  linger_credit_ = std::min(linger_credit_ + 1, most_credit);
  letter_node_->collect();
  return true;
}

// Where it does not pay it is tried anew after a while.
bool event_loop::may_linger() noexcept {
  static const bool one_core = std::thread::hardware_concurrency() < 2;
  if (one_core || has_virtual_time() || slice_over_ || !pool_ || !pool_->is_quick()) return false;
  if (linger_credit_ >= 0) return true;
  ++linger_credit_;
  return false;
}

// ---- polls ----

// A poll that does not wait reads the clock once: it ends a gap, and begins the next one and the
// turn. So what the poll takes, and what libuv calls within it, is in the gap and in the slice.
void event_loop::poll(bool may_wait) {
  ++metrics_.polls;
  ++metrics_.looks;
  time_point now = time_.now();
  end_gap(now);
  metrics_.turn.record(now - turn_begun_);
  trace_->turn_ended(turn_begun_, now);
  detail::poller::found what;
  const bool idle = may_wait && is_idle();
  if (pool_) pool_->nudge(idle);
  if (idle) {
    pulse_.held_since_ns.store(0, std::memory_order_relaxed);
    what = has_virtual_time() ? wait_virtual(now) : wait_for_events(now);
    if (pool_) pool_->nudge(false);  // we are awake again
    now = time_.now();
    begin_gap(now);
  } else {
    begin_gap(now);
    what = poller_.poll(false);
  }
  if (!has_virtual_time()) detail::block_cache::trim(now);
  begin_turn(now);
  take(what, now);
  fire_due_timers(now);
  release_paused();
}

void event_loop::take(const detail::poller::found& what, time_point now) noexcept {
  letter_node_->collect();
  if (own_uv_ == nullptr) return;
  if (what.libuv || libuv_is_due(now)) run_libuv();
  keep_libuv_time(now);
}

detail::poller::found event_loop::wait_for_events(time_point now) noexcept {
  const time_point until =
      std::min({timers_.earliest(), libuv_deadline(), detail::block_cache::next_trim()});
  if (until > now && until != time_point::max()) poller_.set_alarm(until);
  return until > now ? sleep() : poller_.poll(false);
}

// Waits for an event or a letter.
detail::poller::found event_loop::sleep() noexcept {
  const detail::poller::found what = poller_.poll(mailbox_->may_sleep());
  mailbox_->stay_awake();
  return what;
}

// Nothing is ready: real events first, then virtual time jumps to the next timer.
detail::poller::found event_loop::wait_virtual(time_point now) {
  take(poller_.poll(false), now);
  if (!ready_.empty()) return {};
  const bool is_waited_for = expects_something();
  if (!is_waited_for && !timers_.empty()) {
    time_.virtual_time()->advance_to(timers_.earliest());
    return {};
  }
  if (!is_waited_for && waiting_watches_ == 0 && options_.on_deadlock) options_.on_deadlock();
  const time_point until = libuv_deadline();
  if (until != time_point::max()) poller_.set_alarm(until);
  return sleep();
}

// Whether threads will send something. A job may be let start, or be held up, after it has left:
// the pool is asked each time.
bool event_loop::expects_something() const noexcept {
  if (expected_posts_ > 0) return true;
  return has_virtual_time() && pool_ && jobs_ > 0 && jobs_ > pool_->stuck();
}

void event_loop::fire_due_timers(time_point now) {
  for (int i = 0; i < timers_per_poll; ++i) {
    // No clock has shown a time before its first.
    const std::chrono::nanoseconds lag = now - std::max(timers_.earliest(), time_point());
    timer_node* n = timers_.pop_due(now);
    if (n == nullptr) break;
    ++metrics_.timers_fired;
    metrics_.timer_lag.record(lag);
    if (i == 0) note_timer_lag(lag);
    make_ready(*n);
  }
}

// Lateness that the gap before this poll does not explain is told to the stall monitor: it comes
// from too many timers at once, or from a system that woke the thread late.
void event_loop::note_timer_lag(std::chrono::nanoseconds lag) noexcept {
  const std::chrono::nanoseconds unexplained = lag - last_gap_;
  if (unexplained < least_lag_told) return;
  pulse_.timer_lag_ns.store(unexplained.count(), std::memory_order_relaxed);
  pulse_.timer_lags.store(pulse_.timer_lags.load(std::memory_order_relaxed) + 1,
                          std::memory_order_relaxed);
}

void event_loop::release_paused() {
  if (options_.seed) {
    shuffle(paused_prompt_);
    shuffle(paused_bulk_);
  }
  ready_.push_after_pause(paused_prompt_, paused_bulk_, metrics_.turns);
}

// ---- gaps ----

void event_loop::begin_gap(time_point now) noexcept {
  gap_start_ = now;
  if (options_.check_costs.count() > 0) step_cpu_start_ns_ = thread_cpu_ns();
  pulse_.held_since_ns.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  if (!options_.measure_cpu) return;
  gap_cpu_start_ns_ = thread_cpu_ns();
  gap_switches_start_ = voluntary_switches();
}

void event_loop::end_gap(time_point now) noexcept {
  gap_report& longest = metrics_.longest_gap;
  const context_ptr ran_last = std::move(ran_last_);  // none at a look, within its task
  const std::string& task = (ran_last ? ran_last : context_)->name();
  last_gap_ = now - gap_start_;
  metrics_.poll_gap.record(last_gap_);
  trace_->gap_ended(gap_start_, now, meter_.site.load(std::memory_order_relaxed), task);
  if (last_gap_ > longest.wall) {
    longest.wall = last_gap_;
    longest.wall_site = meter_.site.load(std::memory_order_relaxed);
    longest.wall_task = task;
  }
  if (!options_.measure_cpu) return;
  const std::chrono::nanoseconds cpu(thread_cpu_ns() - gap_cpu_start_ns_);
  if (cpu > longest.cpu) {
    longest.cpu = cpu;
    longest.cpu_site = meter_.site.load(std::memory_order_relaxed);
  }
  const auto switches = static_cast<std::uint64_t>(voluntary_switches() - gap_switches_start_);
  longest.voluntary_switches = std::max(longest.voluntary_switches, switches);
}

// On virtual time a step takes what it declares: only its CPU time tells what it took.
void event_loop::check_cost(std::int64_t cost_ns) noexcept {
  const std::int64_t used = thread_cpu_ns() - step_cpu_start_ns_;
  if (used > cost_ns + options_.check_costs.count()) {
    ++metrics_.overruns;
    metrics_.overrun_site = meter_.site.load(std::memory_order_relaxed);
    metrics_.overrun_task = context_->name();
    metrics_.overrun_cpu = std::max(metrics_.overrun_cpu, std::chrono::nanoseconds(used));
  }
  step_cpu_start_ns_ = thread_cpu_ns();
}

void event_loop::reset_gaps() noexcept {
  metrics_.longest_gap = {};
  begin_gap(time_.now());
}

}  // namespace fermata
