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

  /// The longest gaps since the first phase began.
  [[nodiscard]] gap_report longest() const;

private:
  event_loop& loop_;
  std::function<void(const phase_report&)> hook_;
  std::string_view phase_;
  time_point began_{};
  std::uint64_t looks_before_ = 0;
  gap_report longest_;
};

}  // namespace fermata::mirror
