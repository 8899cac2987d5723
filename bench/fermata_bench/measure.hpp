// SPDX-License-Identifier: MIT
// How a case is timed and what it prints; the C++ programs under peers/ are built with it too.
//
// A case is timed in batches of mostly 0.1 to 0.3 ms; a figure is the median over them, so
// that what the kernel gave to others falls out.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace bench {

using clock = std::chrono::steady_clock;

struct settings {
  std::chrono::nanoseconds timing = std::chrono::milliseconds(700);  // of each figure
  bool is_short = false;                                             // --ms was given
  [[nodiscard]] std::chrono::nanoseconds warm_up() const { return timing / 5; }
};

/// Prints a line `figure unit value`.
void print_figure(std::string_view figure, std::string_view unit, double value);

inline double median(std::vector<double> of) {
  const auto middle = of.begin() + static_cast<std::ptrdiff_t>(of.size() / 2);
  std::nth_element(of.begin(), middle, of.end());
  return *middle;
}

/// The value below which a share `q` of them lies; `sorted` is, and has one at least.
inline double quantile(const std::vector<double>& sorted, double q) {
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(q * last + 0.5)];
}

/// Seconds that a call takes.
template <typename F>
double seconds_of(F&& f) {
  const clock::time_point begun = clock::now();
  f();
  return std::chrono::duration<double>(clock::now() - begun).count();
}

/// Calls `round` until the time is over, once at least, first to warm up and then to measure.
template <typename F>
void repeat(const settings& s, F&& round) {
  for (const std::chrono::nanoseconds time : {s.warm_up(), s.timing}) {
    const bool measures = time == s.timing;
    const clock::time_point begun = clock::now();
    do {
      round(measures);
    } while (clock::now() - begun < time);
  }
}

/// What one of the `operations` that a call of `batch` does takes: ns, the median over calls.
template <typename F>
double ns_an_operation(const settings& s, std::size_t operations, F&& batch) {
  std::vector<double> samples;
  repeat(s, [&](bool measures) {
    const double seconds = seconds_of(batch);
    if (measures) samples.push_back(seconds * 1e9 / static_cast<double>(operations));
  });
  return median(std::move(samples));
}

/// Bytes of memory that the process has in use.
std::size_t resident_bytes();

/// What a case was told in the environment is not what it takes.
class wrong_usage : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Throws: std::runtime_error where a case computed something wrong, which ends the program.
void require(bool holds, const char* what);

}  // namespace bench
