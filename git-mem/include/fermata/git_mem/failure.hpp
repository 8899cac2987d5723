// SPDX-License-Identifier: MIT
/// What git-mem throws and rejects with, and what one step of a state machine reports.
///
/// Thread: any; values.
#pragma once

#include <fermata/loop/error.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace fermata::git_mem {

/// Why something failed, for callers that act on it.
enum class reason : std::uint8_t {
  corrupt,      ///< the bytes are not what they claim to be
  limit,        ///< larger than the limits allow
  protocol,     ///< the other side does not speak git as we know it
  remote,       ///< the other side refused, in its own words
  not_found,    ///< no such object, ref, path or repository
  unsupported,  ///< valid, but not something that this library does
  conflict,     ///< somebody else has changed it meanwhile
};

/// A git operation failed. `what()` names the place first: `pack byte 1843200: delta ends early`.
class failure : public error {
public:
  failure(reason why, std::string_view text) : error(text), why_(why) {}

  [[nodiscard]] reason why() const noexcept { return why_; }

  /// The same failure with `place` and ": " in front.
  [[nodiscard]] failure at(std::string_view place) const {
    return failure(why_, std::string(place) + ": " + what());
  }

private:
  reason why_;
};

/// How a state machine stands after a step.
enum class step_state : std::uint8_t {
  more,        ///< call `step` again
  need_input,  ///< feed it first
  done,        ///< the result is ready
  error,       ///< it failed, and stays so
};

/// What a step did. `cost` is an upper estimate of its CPU time, for `maybe_pause(cost)`: it is
/// high for small objects (the price of the worst input), never low by more than a little.
struct step_result {
  step_state state = step_state::more;
  std::chrono::nanoseconds cost{};
};

/// What a step may cost where the caller says nothing. One unit more may be used: 200 us at most.
inline constexpr std::chrono::nanoseconds default_step_budget = std::chrono::microseconds(50);

}  // namespace fermata::git_mem
