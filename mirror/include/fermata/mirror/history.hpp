// SPDX-License-Identifier: MIT
/// What the service measured over the last hour and the last day, for plots.
///
/// Shape:  samples at a steady pace; the oldest gives way to the newest. The day's samples are made
///         of the hour's: sums are summed, longest times are the longest.
/// Pauses: never.
/// Thread: the owner's; a value.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace fermata::mirror {

/// One period.
struct sample {
  std::chrono::sys_seconds end{};
  std::chrono::milliseconds length{0};
  std::uint64_t requests = 0;
  std::uint64_t failures = 0;  ///< answers of class 5xx
  std::uint64_t sent_bytes = 0;
  std::chrono::nanoseconds latency_p50{0};
  std::chrono::nanoseconds latency_p99{0};
  std::chrono::nanoseconds longest_gap{0};
  std::uint64_t rss_bytes = 0;
};

class history {
public:
  static constexpr std::chrono::seconds short_period{10};
  static constexpr std::size_t per_long = 24;  ///< short samples in a long one: 4 min
  static constexpr std::size_t most = 360;     ///< of each: an hour, a day

  void add(const sample& s);

  [[nodiscard]] const std::vector<sample>& hour() const noexcept { return hour_; }
  [[nodiscard]] const std::vector<sample>& day() const noexcept { return day_; }

private:
  std::vector<sample> hour_;
  std::vector<sample> day_;
  std::vector<sample> pending_;  // of the long sample under way
};

}  // namespace fermata::mirror
