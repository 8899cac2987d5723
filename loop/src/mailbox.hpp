// SPDX-License-Identifier: MIT
// The node that delivers what other threads have sent.
#pragma once

#include <fermata/loop/event_loop.hpp>

namespace fermata {

// While a loop ends: more letters than these are dropped, but for what it waits for.
inline constexpr int letters_a_round = 1000;
inline constexpr int letter_rounds = 100;

struct event_loop::letter_node final : ready_node {
  explicit letter_node(event_loop& l) : loop(l) {}
  void collect() noexcept;
  void deliver_last() noexcept;
  void run() noexcept override;

  event_loop& loop;
};

}  // namespace fermata
