// SPDX-License-Identifier: MIT
// What the hogs and tickers of the c12 cases have in common, ours and those of the peers.
#pragma once

#include "measure.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace bench {

using std::chrono::nanoseconds;

inline nanoseconds work_of(const settings& s) {
  const char* const text = std::getenv("HOG_SECONDS");
  if (text == nullptr) return s.is_short ? s.timing : std::chrono::seconds(10);
  char* end = nullptr;
  const double seconds = std::strtod(text, &end);
  if (*end != '\0' || !(seconds > 0 && seconds < 1e6)) {
    throw wrong_usage("HOG_SECONDS is a number of seconds above 0 and below 1000000");
  }
  return nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

inline void spin(nanoseconds d) {
  const clock::time_point end = clock::now() + d;
  while (clock::now() < end) continue;
}

/// The pieces of a hog's work, of 0.7 to 1.3 ms each.
class pieces {
public:
  pieces(nanoseconds work, unsigned seed) : left_(work), random_(seed) {}
  /// False where none is left.
  bool hold_next() {
    const nanoseconds piece = std::min(left_, nanoseconds(hold_ns_(random_)));
    if (piece <= nanoseconds(0)) return false;
    spin(piece);
    left_ -= piece;
    return true;
  }

private:
  nanoseconds left_;
  std::minstd_rand random_;
  std::uniform_int_distribution<std::int64_t> hold_ns_{700'000, 1'300'000};
};

/// The ticks of a 1 ms ticker, due at fixed times.
class tick_log {
public:
  [[nodiscard]] clock::time_point due() const { return due_; }
  [[nodiscard]] bool is_due() const { return clock::now() >= due_; }
  /// The tick that is due has come.
  void note() {
    late_us_.push_back(std::chrono::duration<double, std::micro>(clock::now() - due_).count());
    due_ += std::chrono::milliseconds(1);
  }
  void print(const std::string& prefix, nanoseconds work) {
    const std::chrono::duration<double> wall = clock::now() - begun_;
    std::sort(late_us_.begin(), late_us_.end());
    require(!late_us_.empty(), "c12: the ticker has ticked");
    print_figure(prefix + "_p50", "us", quantile(late_us_, 0.5));
    print_figure(prefix + "_p99", "us", quantile(late_us_, 0.99));
    print_figure(prefix + "_max", "us", late_us_.back());
    print_figure(prefix + "_stretch", "ratio", wall / work);
  }

private:
  clock::time_point begun_ = clock::now();
  clock::time_point due_ = begun_ + std::chrono::milliseconds(1);
  std::vector<double> late_us_;
};

}  // namespace bench
