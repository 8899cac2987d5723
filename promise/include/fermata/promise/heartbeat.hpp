// SPDX-License-Identifier: MIT
/// A pulse on a loop that tells how late it was answered: what a client of the loop would see.
///
/// Shape:    a timer every `interval`; each beat notes how long after its time it ran.
/// Units:    nanoseconds on the loop's time source.
/// Thread:   loop.
/// Throws:   `contract_error` for an interval that is not positive.
/// Cost:     8 bytes and one timer a beat.
/// Lifetime: the loop outlives the heartbeat, which stops when it is destroyed.
#pragma once

#include <fermata/loop/event_loop.hpp>

#include <chrono>
#include <cstddef>
#include <vector>

namespace fermata {

class heartbeat final : private timer_node {
public:
  explicit heartbeat(event_loop& loop,
                     std::chrono::nanoseconds interval = std::chrono::milliseconds(1));

  [[nodiscard]] std::size_t beats() const noexcept { return lateness_.size(); }
  /// The lateness that a share `q` (0 to 1) of the beats did not exceed; 0 without beats.
  /// Cost: O(n log n).
  [[nodiscard]] std::chrono::nanoseconds quantile(double q) const;
  /// The longest lateness, also of a beat that is due now and has not run.
  [[nodiscard]] std::chrono::nanoseconds longest() const;

private:
  void run() noexcept override;

  event_loop& loop_;
  std::chrono::nanoseconds interval_;
  time_point next_;
  std::vector<std::chrono::nanoseconds> lateness_;
};

}  // namespace fermata
