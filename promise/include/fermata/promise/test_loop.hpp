// SPDX-License-Identifier: MIT
/// A loop for tests: virtual time, and errors for deadlocks, stalls and missing checks.
///
/// Shape:   time stands still but for the declared cost of each step (`due`, `maybe_pause`, 1 us a
///          node of the ready queue); when nothing is ready it jumps to the next timer. While
///          detached jobs run, or a thread may start them, it waits for them first.
/// Order:   with `loop_options::seed` tasks pause and come back in an order that the seed repeats;
///          `for_each_seed` tries many.
/// Thread:  that of the test.
/// Rejects: `run` throws `deadlock` where nothing can happen any more, `stalled` after a run in
///          which two looks were further apart than `fail_on_stall` allows, `overran` after one in
///          which a step used more CPU time than it declared and `loop_options::check_costs`.
#pragma once

#include <fermata/loop/event_loop.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <source_location>
#include <utility>

namespace fermata {

/// Nothing is ready, no timer runs and no descriptor is waited for.
class deadlock : public error {
public:
  deadlock() : error("deadlock: a promise is waited for that nothing will settle") {}
};

/// A task held the loop for longer than the test allows.
class stalled : public error {
public:
  explicit stalled(const gap_report& gap);
};

/// A task used more of the thread than it declared: a check is missing or declares too little.
class overran : public error {
public:
  explicit overran(const loop_metrics& m);
};

/// A test failed with a seed, which the text begins with.
class seed_failed : public error {
public:
  seed_failed(std::uint64_t seed, std::exception_ptr why);
  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }
  [[nodiscard]] const std::exception_ptr& why() const noexcept { return why_; }

private:
  std::uint64_t seed_;
  std::exception_ptr why_;
};

class test_loop {
public:
  explicit test_loop(loop_options options = {})
      : checks_costs_(options.check_costs.count() > 0), loop_(prepare(std::move(options))) {}

  /// Throws: what `f` or its promise fails with, `deadlock`, `stalled`, `overran`.
  template <std::invocable F>
  auto run(F&& f, std::source_location site = std::source_location::current()) {
    if constexpr (std::is_void_v<decltype(loop_.run(std::forward<F>(f)))>) {
      loop_.run(std::forward<F>(f), site);
      check();
    } else {
      auto result = loop_.run(std::forward<F>(f), site);
      check();
      return result;
    }
  }
  /// From now on a gap between two looks of more than `d` fails the run.
  void fail_on_stall(std::chrono::nanoseconds d) {
    allowed_ = d;
    loop_.reset_gaps();
  }
  [[nodiscard]] time_point now() const noexcept { return clock_.now(); }
  [[nodiscard]] event_loop& loop() noexcept { return loop_; }
  [[nodiscard]] const loop_metrics& metrics() const noexcept { return loop_.metrics(); }

private:
  loop_options prepare(loop_options options);
  void check() const;

  virtual_clock clock_;
  std::optional<std::chrono::nanoseconds> allowed_;
  bool checks_costs_;
  event_loop loop_;
};

/// Calls `f(loop)` with a new test loop for each seed from `first` to `first + count - 1`.
///
/// Throws: `seed_failed` at the first one that fails: replay it alone with
///         `for_each_seed(1, f, seed)`.
template <std::invocable<test_loop&> F>
void for_each_seed(std::uint64_t count, F f, std::uint64_t first = 1) {
  for (std::uint64_t seed = first; seed - first < count; ++seed) {
    loop_options options;
    options.seed = seed;
    try {
      test_loop loop(std::move(options));
      f(loop);
    } catch (...) {
      throw seed_failed(seed, std::current_exception());
    }
  }
}

}  // namespace fermata
