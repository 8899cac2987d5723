// SPDX-License-Identifier: MIT
// The processor's own counter, which is read in half the time of the clock.
//
// It says only whether a slice may be over; every time that is compared with a deadline or shown
// to anybody comes from the clock. A turn begins with a reading of both.
#pragma once

#include <chrono>
#include <cstdint>
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

[[nodiscard]] inline std::uint64_t to_ticks(std::chrono::nanoseconds d) noexcept {
  return static_cast<std::uint64_t>(d.count()) * ticks_per_us() / 1000;
}

}  // namespace fermata::detail
