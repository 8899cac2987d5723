// SPDX-License-Identifier: MIT
// The processor's own counter, which is read in half the time of the clock.
//
// It says only whether a slice may be over; every time that is compared with a deadline or shown
// to anybody comes from the clock. A turn begins with a reading of both.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace fermata::detail {

// Ticks a microsecond; 0 where the processor has no counter that runs at one speed.
[[nodiscard]] std::uint64_t ticks_per_us() noexcept;

[[nodiscard]] inline std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return 0;
#endif
}

// 0 for what is no duration; what has no number of ticks is the longest.
[[nodiscard]] inline std::uint64_t to_ticks(std::chrono::nanoseconds d) noexcept {
  if (d.count() <= 0) return 0;
  const auto ns = static_cast<std::uint64_t>(d.count());
  const std::uint64_t rate = ticks_per_us();
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  return rate == 0 || ns <= most / rate ? ns * rate / 1000 : most;
}

}  // namespace fermata::detail
