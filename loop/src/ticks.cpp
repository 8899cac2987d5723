// SPDX-License-Identifier: MIT
// How fast the counter runs: measured once in a process against the clock.

#include "ticks.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace fermata::detail {
namespace {

// Linux: "nonstop_tsc", the same speed in every state of the processor.
bool counts_steadily() noexcept {
#if defined(__x86_64__)
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & (1U << 8)) != 0;
#else
  return false;
#endif
}

// 0.1 ms of counting: right to about a thousandth, which is more than a slice needs. The shortest
// of three, in case the thread was held between two readings.
std::uint64_t measure() noexcept {
  if (!counts_steadily()) return 0;
  std::uint64_t best = 0;
  for (int i = 0; i < 3; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const std::uint64_t first = ticks();
    auto now = begin;
    while (now - begin < std::chrono::microseconds(100)) now = std::chrono::steady_clock::now();
    const std::uint64_t counted = ticks() - first;
    const std::uint64_t rate = counted * 1000 / static_cast<std::uint64_t>((now - begin).count());
    if (best == 0 || rate < best) best = rate;
  }
  return best;
}

}  // namespace

std::uint64_t ticks_per_us() noexcept {
  static const std::uint64_t rate = measure();
  return rate;
}

}  // namespace fermata::detail
