// SPDX-License-Identifier: MIT
/// The policy under which the tests run: FERMATA_POLICY, else the default. Only tests read it.
#pragma once

#include <fermata/loop/event_loop.hpp>

#include <cstdlib>
#include <utility>

namespace fermata::testing {

inline policy policy_of_run() {
  const char* text = std::getenv("FERMATA_POLICY");
  return text == nullptr || *text == '\0' ? policy::budget() : policy::parse(text);
}

/// Loop options with that policy.
inline loop_options options_of_run() {
  loop_options options;
  options.when = policy_of_run();
  return options;
}

/// Loop options with a policy that the test is about.
inline loop_options options_with(policy p) {
  loop_options options;
  options.when = p;
  return options;
}

}  // namespace fermata::testing
