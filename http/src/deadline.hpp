// SPDX-License-Identifier: MIT
// A deadline that moves with every request and costs a store when it does.
#pragma once

#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/timer.hpp>

#include <algorithm>
#include <chrono>

namespace fermata::http::detail {

/// Calls `expired` of its owner once the deadline has passed.
///
/// The timer underneath is not moved: it fires every `tick` while a deadline is set, and looks.
/// With a tick no longer than the shortest time that is ever set, no deadline is missed by it.
class deadline final : private timer_node {
public:
  class owner {
  public:
    virtual void expired() noexcept = 0;

  protected:
    ~owner() = default;
  };

  deadline(event_loop& loop, owner& o, std::chrono::nanoseconds tick)
      : loop_(loop), owner_(o), tick_(tick) {}

  void set(std::chrono::nanoseconds from_now) {
    const time_point now = loop_.now();
    at_ = now + from_now;
    if (!is_waiting() && !is_linked()) loop_.start(*this, std::min(at_, now + tick_));
  }
  void clear() noexcept { at_ = time_point::max(); }

private:
  void run() noexcept override {
    if (at_ == time_point::max()) return;  // `set` starts it again
    const time_point now = loop_.now();
    if (now < at_) return loop_.start(*this, std::min(at_, now + tick_));
    at_ = time_point::max();
    owner_.expired();
  }

  event_loop& loop_;
  owner& owner_;
  std::chrono::nanoseconds tick_;
  time_point at_ = time_point::max();
};

}  // namespace fermata::http::detail
