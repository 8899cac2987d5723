// SPDX-License-Identifier: MIT
// What a loop calls at each node while steps are measured or a trace has been started.
//
// Without an observer a loop tests one pointer. Times are readings of the trace: one at the end of
// a node, one at each check that reads the clock, one at each event.
#pragma once

#include <fermata/loop/event_loop.hpp>

namespace fermata::detail {

class observer {
public:
  observer(event_loop& loop, loop_metrics& metrics, event_trace& trace) noexcept
      : loop_(loop), metrics_(metrics), trace_(trace) {}

  void look_for(bool measures, bool traces) noexcept;

  void node_begins(const ready_node& n) noexcept;
  /// A call that comes from no queue.
  void call_begins() noexcept;
  void node_ends(std::source_location site, std::string_view task) noexcept;
  /// A clock reading within a node.
  void checked(std::source_location site) noexcept;
  void became_ready(const ready_node& n, std::string_view by) noexcept;
  void paused(const ready_node& n, std::source_location site, std::string_view task) noexcept;

private:
  void follow(const ready_node& n) noexcept;
  void end_step(std::uint64_t now, std::source_location site) noexcept;

  event_loop& loop_;
  loop_metrics& metrics_;
  event_trace& trace_;
  bool measures_ = false;
  bool traces_ = false;
  bool in_node_ = false;
  std::uint64_t node_ = 0;  // the address of the one that runs
  std::uint64_t node_begin_ = 0;
  std::uint64_t step_begin_ = 0;
  std::uint64_t last_end_ = 0;
  std::uint64_t last_turn_ = 0;
  const ready_node* followed_ = nullptr;  // through the ready queue
  std::uint64_t followed_since_ = 0;
  std::uint64_t followed_turn_ = 0;
};

}  // namespace fermata::detail
