// SPDX-License-Identifier: MIT
/// What a stall monitor concludes from samples of one loop: no threads and no clock in here.
///
/// Thread: that of its owner.
#pragma once

#include <fermata/loop/stall_monitor.hpp>
#include <fermata/loop/time_source.hpp>

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <source_location>
#include <vector>

namespace fermata::detail {

/// What one loop showed at one moment; it is taken under a lock and so allocates nothing.
struct loop_sample {
  time_point now{};
  std::uint64_t turn = 0;
  std::int64_t held_since_ns = 0;  // 0: asleep or not running
  std::int64_t checked_ns = 0;
  std::source_location site;
  std::array<char, 64> task{};  // ends with 0
  std::uint64_t jobs_submitted = 0;
  std::uint64_t jobs_queued = 0;
  std::uint64_t timer_lags = 0;
  std::int64_t timer_lag_ns = 0;
};

struct stall_limits {
  std::chrono::nanoseconds held;
  std::chrono::nanoseconds pool;
  std::chrono::nanoseconds timer;
};

/// A stall that is reported at 1, 2, 4 ... times its limit.
class doubling {
public:
  /// Whether `d` has reached the next limit.
  [[nodiscard]] bool reaches(std::chrono::nanoseconds d, std::chrono::nanoseconds limit) noexcept {
    if (d < limit * factor_) return false;
    while (d >= limit * factor_ && factor_ < most) factor_ *= 2;
    return true;
  }
  [[nodiscard]] bool is_open() const noexcept { return factor_ > 1; }
  void close() noexcept { factor_ = 1; }

private:
  static constexpr std::int64_t most = std::int64_t{1} << 24;
  std::int64_t factor_ = 1;
};

struct stall_event {
  stall_report report;
  bool begins = false;
};

class stall_tracker {
public:
  explicit stall_tracker(stall_limits limits) : limits_(limits) {}
  /// What the sample tells beyond those before it.
  [[nodiscard]] std::vector<stall_event> see(const loop_sample& s);
  /// When to look again after `s`.
  [[nodiscard]] time_point next(const loop_sample& s) const noexcept;

private:
  void see_held(const loop_sample& s, std::vector<stall_event>& events);
  void see_pool(const loop_sample& s, std::vector<stall_event>& events);
  void see_timers(const loop_sample& s, std::vector<stall_event>& events);

  struct mark {
    time_point at;
    std::uint64_t submitted;
  };

  stall_limits limits_;
  std::int64_t held_since_ns_ = 0;
  doubling held_;
  stall_report last_held_;
  doubling pool_;
  stall_report last_pool_;
  std::deque<mark> marks_;  // how many jobs had been submitted when, the oldest that still waits
                            // first
  std::uint64_t timer_lags_ = 0;
  bool has_seen_timers_ = false;
  time_point timer_told_{};
  std::chrono::nanoseconds timer_lag_told_{0};
};

/// Lets so many reports through in each minute; the last one only at the end of a stall.
class report_limiter {
public:
  explicit report_limiter(unsigned per_minute) : per_minute_(per_minute) {}
  [[nodiscard]] bool admits(time_point now, bool is_end);

private:
  unsigned per_minute_;
  std::deque<time_point> given_;
};

}  // namespace fermata::detail
