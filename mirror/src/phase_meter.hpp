// SPDX-License-Identifier: MIT
/// The loop's longest gaps, phase by phase, and the longest of all.
///
/// Pauses: never.
/// Thread: loop.
#pragma once

#include <fermata/loop/event_loop.hpp>
#include <fermata/mirror/service.hpp>

#include <functional>
#include <string_view>

namespace fermata::mirror {

class phase_meter {
public:
  phase_meter(event_loop& loop, std::function<void(const phase_report&)> hook)
      : loop_(loop), hook_(std::move(hook)) {}

  /// Ends the phase before, and measures gaps anew. Lifetime: `phase` is a literal.
  void begin(std::string_view phase);
  void end();

  /// The longest gap since the last call. It measures anew, so phases see what came before too.
  [[nodiscard]] std::chrono::nanoseconds take_recent();

  /// The longest gaps since the first phase began.
  [[nodiscard]] gap_report longest() const;

private:
  event_loop& loop_;
  std::function<void(const phase_report&)> hook_;
  std::string_view phase_;
  time_point began_{};
  std::chrono::nanoseconds cpu_before_{0};
  std::uint64_t looks_before_ = 0;
  void note_gaps();

  gap_report longest_;
  gap_report phase_longest_;
  std::chrono::nanoseconds recent_{0};
};

}  // namespace fermata::mirror
