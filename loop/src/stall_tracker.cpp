// SPDX-License-Identifier: MIT
// From samples to stalls.
//
// A stall of the loop is known by the time of the last look, which stands still meanwhile. The
// wait of the oldest job is known without a clock reading a job: jobs leave the queue in order, so
// the oldest is the one with number submitted - queued, and marks tell when that many had come.

#include <fermata/loop/detail/stall_tracker.hpp>

#include <algorithm>

namespace fermata::detail {
namespace {

constexpr std::size_t most_marks = 256;
constexpr int samples_per_limit = 16;  // while the loop is held: 6 % of the limit
constexpr int samples_when_well = 4;
constexpr std::chrono::minutes rate_interval{1};
constexpr std::chrono::seconds timer_quiet{1};  // then a late timer is news again

time_point at_ns(std::int64_t ns) { return time_point(std::chrono::nanoseconds(ns)); }

stall_report report_of(const loop_sample& s, stall_kind kind, std::chrono::nanoseconds held) {
  stall_report r;
  r.kind = kind;
  r.held = held;
  r.site = s.site;
  r.task = s.task.data();
  r.turn = s.turn;
  r.queued_jobs = s.jobs_queued;
  return r;
}

}  // namespace

std::vector<stall_event> stall_tracker::see(const loop_sample& s) {
  std::vector<stall_event> events;
  see_held(s, events);
  see_pool(s, events);
  see_timers(s, events);
  return events;
}

void stall_tracker::see_held(const loop_sample& s, std::vector<stall_event>& events) {
  if (held_.is_open() && s.held_since_ns != held_since_ns_) {
    const time_point end = s.held_since_ns == 0 ? s.now : at_ns(s.held_since_ns);
    last_held_.is_over = true;
    last_held_.held = std::max(last_held_.held, std::min(end, s.now) - at_ns(held_since_ns_));
    events.push_back({last_held_});
    held_.close();
  }
  held_since_ns_ = s.held_since_ns;
  if (s.held_since_ns == 0) return;
  const std::chrono::nanoseconds held = s.now - at_ns(s.held_since_ns);
  const bool begins = !held_.is_open();
  if (!held_.reaches(held, limits_.held)) return;
  const std::chrono::nanoseconds step = s.now - at_ns(s.checked_ns);
  last_held_ = report_of(s, step >= held / 2 ? stall_kind::step : stall_kind::turn, held);
  events.push_back({last_held_, begins});
}

void stall_tracker::see_pool(const loop_sample& s, std::vector<stall_event>& events) {
  if (marks_.empty() || s.jobs_submitted != marks_.back().submitted) {
    if (marks_.size() == most_marks) marks_.erase(marks_.end() - 2);
    marks_.push_back({s.now, s.jobs_submitted});
  }
  const std::uint64_t left = s.jobs_submitted - s.jobs_queued;  // the oldest that waits follows
  while (marks_.size() > 1 && marks_.front().submitted <= left) marks_.pop_front();
  const bool waits = s.jobs_queued > 0 && marks_.front().submitted > left;
  const std::chrono::nanoseconds wait = waits ? s.now - marks_.front().at : s.now - s.now;
  const bool begins = !pool_.is_open();
  if (pool_.reaches(wait, limits_.pool)) {
    last_pool_ = report_of(s, stall_kind::pool, wait);
    events.push_back({last_pool_, begins});
  } else if (pool_.is_open() && wait < limits_.pool) {
    last_pool_.is_over = true;
    events.push_back({last_pool_});
    pool_.close();
  } else if (pool_.is_open()) {
    last_pool_.held = wait;
  }
}

void stall_tracker::see_timers(const loop_sample& s, std::vector<stall_event>& events) {
  const bool is_news = has_seen_timers_ && s.timer_lags != timer_lags_;
  has_seen_timers_ = true;
  timer_lags_ = s.timer_lags;
  const std::chrono::nanoseconds lag(s.timer_lag_ns);
  if (!is_news || lag < limits_.timer) return;
  const bool begins = s.now - timer_told_ > timer_quiet;
  if (!begins && lag < 2 * timer_lag_told_) return;
  timer_told_ = s.now;
  timer_lag_told_ = lag;
  events.push_back({report_of(s, stall_kind::timer, lag), begins});
}

time_point stall_tracker::next(const loop_sample& s) const noexcept {
  const std::chrono::nanoseconds calm =
      std::min({limits_.held, limits_.pool, limits_.timer}) / samples_when_well;
  const std::chrono::nanoseconds close = std::min(calm, limits_.held / samples_per_limit);
  if (s.held_since_ns == 0) return s.now + calm;
  return std::max(s.now + close, std::min(s.now + calm, at_ns(s.held_since_ns) + calm));
}

bool report_limiter::admits(time_point now, bool is_end) {
  while (!given_.empty() && now - given_.front() >= rate_interval) given_.pop_front();
  const std::size_t kept_for_end = !is_end && per_minute_ > 1 ? 1 : 0;
  if (given_.size() + kept_for_end >= per_minute_) return false;
  given_.push_back(now);
  return true;
}

}  // namespace fermata::detail
