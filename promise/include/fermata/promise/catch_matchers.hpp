// SPDX-License-Identifier: MIT
/// Matchers of Catch2 for availability: `CHECK_THAT(loop.metrics(), LongestGapBelow(2ms));`.
///
/// Shape:  the only header that includes Catch2; it is not needed to use the library.
/// Thread: that of the test.
#pragma once

#include <fermata/loop/metrics.hpp>
#include <fermata/promise/heartbeat.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace fermata::testing {

/// `700 us`
[[nodiscard]] inline std::string in_us(std::chrono::nanoseconds d) {
  return std::to_string(d.count() / 1000) + " us";
}

/// The longest time between two looks, since the last `reset_gaps`, is shorter.
class LongestGapBelow : public Catch::MatcherBase<loop_metrics> {
public:
  explicit LongestGapBelow(std::chrono::nanoseconds bound) : bound_(bound) {}
  bool match(const loop_metrics& m) const override { return m.longest_gap.wall < bound_; }
  std::string describe() const override { return "has a longest gap below " + in_us(bound_); }

private:
  std::chrono::nanoseconds bound_;
};

/// The loop has looked for waiting work that often: at each item, under policy `always`.
class HasLooksAtLeast : public Catch::MatcherBase<loop_metrics> {
public:
  explicit HasLooksAtLeast(std::uint64_t n) : n_(n) {}
  bool match(const loop_metrics& m) const override { return m.looks >= n_; }
  std::string describe() const override {
    return "has looked at least " + std::to_string(n_) + " times";
  }

private:
  std::uint64_t n_;
};

/// No step took far longer than it declared.
class HasNoOverruns : public Catch::MatcherBase<loop_metrics> {
public:
  bool match(const loop_metrics& m) const override { return m.overruns == 0; }
  std::string describe() const override { return "has no overruns"; }
};

/// Every beat was answered within that time, and there was one.
class AnswersWithin : public Catch::MatcherBase<heartbeat> {
public:
  explicit AnswersWithin(std::chrono::nanoseconds bound) : bound_(bound) {}
  bool match(const heartbeat& h) const override { return h.beats() > 0 && h.longest() <= bound_; }
  std::string describe() const override { return "answers within " + in_us(bound_); }

private:
  std::chrono::nanoseconds bound_;
};

}  // namespace fermata::testing

template <>
struct Catch::StringMaker<fermata::loop_metrics> {
  static std::string convert(const fermata::loop_metrics& m) {
    const fermata::gap_report& gap = m.longest_gap;
    return "a loop with a gap of " + fermata::testing::in_us(gap.wall) + " until " +
           fermata::to_string(gap.wall_site) + " (task " + gap.wall_task + "), " +
           std::to_string(m.looks) + " looks, " + std::to_string(m.overruns) + " overruns";
  }
};

template <>
struct Catch::StringMaker<fermata::heartbeat> {
  static std::string convert(const fermata::heartbeat& h) {
    return "a heartbeat with " + std::to_string(h.beats()) + " beats, the latest after " +
           fermata::testing::in_us(h.longest());
  }
};
