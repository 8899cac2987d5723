// SPDX-License-Identifier: MIT
/// Every latency of a measurement, and what is said about them.
///
/// Units:  microseconds, up to 71 minutes; longer ones count as that.
/// Pauses: never; the first percentile after an `add` sorts, 1 s for 10 million values.
/// Thread: the owner's.
/// Cost:   4 bytes a value.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fermata::http {

class latency_log {
public:
  /// A negative value counts as 0.
  void add(std::chrono::nanoseconds value);
  [[nodiscard]] std::size_t count() const noexcept { return values_.size(); }
  /// The smallest value that `percent` of all do not exceed (nearest rank); 0 where there is none.
  [[nodiscard]] std::chrono::microseconds percentile(double percent);
  [[nodiscard]] std::chrono::microseconds longest() { return percentile(100); }
  /// How many do not exceed `most`.
  [[nodiscard]] std::size_t count_within(std::chrono::microseconds most);

private:
  void sort();
  std::vector<std::uint32_t> values_;
  bool sorted_ = true;
};

}  // namespace fermata::http
