// SPDX-License-Identifier: MIT
/// Where a loop reads the time: the steady clock, or a clock that a test moves.
///
/// Units:  nanoseconds since an arbitrary start.
/// Thread: that of the loop which reads it.
#pragma once

#include <chrono>

namespace fermata {

using time_point = std::chrono::steady_clock::time_point;

/// The time `d` after `t`, and where that is no time any more the last one there is.
[[nodiscard]] constexpr time_point later(time_point t, std::chrono::nanoseconds d) noexcept {
  return d > time_point::max() - t ? time_point::max() : t + d;
}

/// A clock that stands still until it is moved. A loop on it advances it by the declared cost of
/// every step, and to the next timer when nothing is ready.
class virtual_clock {
public:
  [[nodiscard]] time_point now() const noexcept { return now_; }
  void advance(std::chrono::nanoseconds by) noexcept { now_ += by; }
  void advance_to(time_point t) noexcept {
    if (t > now_) now_ = t;
  }

private:
  time_point now_{};
};

/// The steady clock, or a virtual one where a test gave it.
class time_source {
public:
  explicit time_source(virtual_clock* clock = nullptr) noexcept : virtual_(clock) {}
  [[nodiscard]] time_point now() const noexcept {
    return virtual_ == nullptr ? std::chrono::steady_clock::now() : virtual_->now();
  }
  [[nodiscard]] virtual_clock* virtual_time() const noexcept { return virtual_; }

private:
  virtual_clock* virtual_;
};

}  // namespace fermata
