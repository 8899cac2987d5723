// SPDX-License-Identifier: MIT
/// Ticks at a steady pace.
///
/// Shape:    `co_await every.tick()` goes on at each multiple of the period after the start; the
///           first is there at once. None is early. One that is cancelled is not used up.
/// Units:    nanoseconds on the loop's time source.
/// Pauses:   until the tick is due.
/// Thread:   loop.
/// Rejects:  `cancelled`; `contract_error` where a tick is waited for already.
/// Throws:   `contract_error` for a period that is not positive.
/// Cost:     a sleep a tick.
/// Lifetime: the interval outlives its ticks.
#pragma once

#include <fermata/promise/sleep.hpp>

#include <chrono>
#include <cstdint>

namespace fermata {

/// What becomes of ticks whose time passed while nobody asked for them.
enum class missed_tick : std::uint8_t {
  burst,  ///< they come at once, one after the other: none is lost
  delay,  ///< the next one comes a whole period after the late one
  skip    ///< they are lost; the next one comes at the next multiple of the period
};

class interval {
public:
  explicit interval(std::chrono::nanoseconds period, missed_tick missed = missed_tick::burst);
  interval(const interval&) = delete;
  interval& operator=(const interval&) = delete;

  /// Gives the time for which the tick was planned.
  promise<time_point> tick();
  /// The next tick comes a period from now.
  void reset();
  [[nodiscard]] time_point next() const noexcept { return next_; }
  [[nodiscard]] std::chrono::nanoseconds period() const noexcept { return period_; }

private:
  [[nodiscard]] time_point after(time_point planned, time_point now) const noexcept;

  std::chrono::nanoseconds period_;
  missed_tick missed_;
  time_point next_;
  bool is_awaited_ = false;
};

}  // namespace fermata
