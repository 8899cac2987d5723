// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fermata::http {

/// What came within one part of the time.
struct probe_slot {
  std::chrono::nanoseconds longest{0};  // latency of an answer that came
  std::uint64_t answers = 0;
  std::uint64_t failures = 0;  // errors and what is not good
};

/// Parts of equal length, at most `most`: two become one where there would be more.
class probe_timeline {
public:
  static constexpr std::size_t most = 400;
  void add(std::chrono::nanoseconds since_start, std::chrono::nanoseconds latency, bool failed);
  [[nodiscard]] const std::vector<probe_slot>& slots() const { return slots_; }
  [[nodiscard]] std::chrono::nanoseconds slot_time() const { return slot_time_; }

private:
  std::chrono::nanoseconds slot_time_ = std::chrono::milliseconds(10);
  std::vector<probe_slot> slots_;
};

}  // namespace fermata::http
