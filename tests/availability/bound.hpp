// SPDX-License-Identifier: MIT
// What the tests that assert time hold a gap to. A step of ours that is too long is so in each
// run; what the machine or its host does in between is not. So the least of up to `most_runs` is
// asked. docs/rationale.md ("What a machine takes is no step of ours") has the figures.
#pragma once

#include "support/page_cost.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace fermata::test {

constexpr int most_runs = 16;
/// No further run begins after so long: the limit of a test is 300 s.
constexpr std::chrono::seconds longest_trying{150};

/// Whether to try once more.
class tries {
public:
  [[nodiscard]] bool next() {
    return count_++ < most_runs && std::chrono::steady_clock::now() - start_ < longest_trying;
  }

private:
  int count_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// 2 ms, where a new page of memory costs no more than 2 us. On some virtual machines it is 10 to
/// 15, and there the bound grows by that factor.
inline std::chrono::microseconds bound() {
  static const std::chrono::microseconds value = [] {
    constexpr double usual_page_us = 2;
    const double page_us = page_cost_us();
    const std::chrono::microseconds grown(
        static_cast<long>(2000 * std::max(1.0, page_us / usual_page_us)));
    std::printf("a new page costs %.2f us: the bound is %ld us\n", page_us,
                static_cast<long>(grown.count()));
    return grown;
  }();
  return value;
}

/// The least gap of `measure()`, which is run until one keeps the bound, or often enough.
template <typename Measure>
std::chrono::nanoseconds least_gap(Measure measure) {
  std::chrono::nanoseconds least = std::chrono::nanoseconds::max();
  for (tries t; least > bound() && t.next();) least = std::min(least, measure());
  return least;
}

}  // namespace fermata::test
