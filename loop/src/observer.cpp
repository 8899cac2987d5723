// SPDX-License-Identifier: MIT
// Steps, queue waits and the events of a started trace.

#include "observer.hpp"

#include <cstdint>

namespace fermata::detail {
namespace {

constexpr std::uint64_t most_turns_followed = 1024;  // then the node has been cancelled

std::uint64_t address_of(const ready_node& n) noexcept {
  return reinterpret_cast<std::uintptr_t>(&n);
}

}  // namespace

void observer::look_for(bool measures, bool traces) noexcept {
  measures_ = measures;
  traces_ = traces;
  last_turn_ = 0;
  in_node_ = false;
  followed_ = nullptr;
}

// The end of a node is the begin of the next one in the same turn: one reading a node.
void observer::node_begins(const ready_node& n) noexcept {
  const bool follows = last_turn_ == metrics_.turns && !loop_.has_virtual_time();
  node_begin_ = step_begin_ = follows ? last_end_ : trace_.now();
  last_turn_ = metrics_.turns;
  node_ = address_of(n);
  in_node_ = true;
  if (followed_ != &n) return;
  metrics_.queue_wait.record(trace_.between(followed_since_, node_begin_));
  followed_ = nullptr;
}

void observer::call_begins() noexcept {
  node_begin_ = step_begin_ = trace_.now();
  node_ = 0;
  in_node_ = true;
}

void observer::node_ends(std::source_location site, std::string_view task) noexcept {
  if (!in_node_) return;  // it has begun to observe, or is no step
  last_end_ = trace_.now();
  if (measures_) end_step(last_end_, site);
  if (traces_) trace_.add(trace_kind::task, node_begin_, last_end_, node_, site, task);
  in_node_ = false;
}

void observer::checked(std::source_location site) noexcept {
  if (measures_ && in_node_) end_step(trace_.now(), site);
}

void observer::end_step(std::uint64_t now, std::source_location site) noexcept {
  const std::chrono::nanoseconds took = trace_.between(step_begin_, now);
  step_begin_ = now;
  metrics_.step.record(took);
  metrics_.held.add(site, took);
}

void observer::became_ready(const ready_node& n, std::string_view by) noexcept {
  follow(n);
  if (!traces_) return;
  const std::uint64_t now = trace_.now();
  trace_.add(trace_kind::wake, now, now, address_of(n), {}, by);
}

// One node at a time is followed. A node that is queued anew has been taken out before, so its wait
// begins anew.
void observer::follow(const ready_node& n) noexcept {
  if (!measures_) return;
  const bool is_free =
      followed_ == nullptr || metrics_.turns - followed_turn_ > most_turns_followed;
  if (!is_free && followed_ != &n) return;
  followed_ = &n;
  followed_since_ = trace_.now();
  followed_turn_ = metrics_.turns;
}

void observer::paused(const ready_node& n,
                      std::source_location site,
                      std::string_view task) noexcept {
  follow(n);
  if (!traces_) return;
  const std::uint64_t now = trace_.now();
  trace_.add(trace_kind::pause, now, now, address_of(n), site, task);
}

}  // namespace fermata::detail
