// SPDX-License-Identifier: MIT
/// A loop for tests: virtual time, and errors for deadlocks and stalls.
///
/// Shape:   time stands still but for the declared cost of each step (`due`, `maybe_pause`, 1 us a
///          node of the ready queue); when nothing is ready it jumps to the next timer. While
///          detached jobs run it waits for them first.
/// Thread:  that of the test.
/// Rejects: `run` throws `deadlock` where nothing can happen any more, and `stalled` after a run in
///          which two looks were further apart than `fail_on_stall` allows.
#pragma once

#include <fermata/loop/event_loop.hpp>

#include <chrono>
#include <optional>
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

class test_loop {
public:
  explicit test_loop(loop_options options = {}) : loop_(prepare(std::move(options))) {}

  /// Throws: what `f` or its promise fails with, `deadlock`, `stalled`.
  template <std::invocable F>
  auto run(F&& f) {
    if constexpr (std::is_void_v<decltype(loop_.run(std::forward<F>(f)))>) {
      loop_.run(std::forward<F>(f));
      check_gap();
    } else {
      auto result = loop_.run(std::forward<F>(f));
      check_gap();
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
  void check_gap() const;

  virtual_clock clock_;
  std::optional<std::chrono::nanoseconds> allowed_;
  event_loop loop_;
};

}  // namespace fermata
