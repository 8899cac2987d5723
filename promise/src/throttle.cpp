// SPDX-License-Identifier: MIT
// The turns of one key.
//
// Invariant: the timer runs while somebody waits, and then only; a cancel takes its waiter out
// before it is rejected, so that the next one has the turn.

#include <fermata/promise/throttle.hpp>

namespace fermata::detail {

namespace {

constexpr int turns_at_once = 64;  // after a time in which the loop was held

}  // namespace

promise<> throttle_lane::wait(std::shared_ptr<std::size_t> total) {
  total_ = std::move(total);
  const auto at = waiting_.emplace(waiting_.end());
  // Where the lane ends its resolvers go first: then no cancel comes here any more.
  auto made = make_task<>([this, at] {
    resolver<> left = std::move(*at);
    waiting_.erase(at);
    --*total_;
    if (waiting_.empty()) stop();
    left.reject(detail::plain_cancelled());
  });
  *at = std::move(made.settle);
  ++*total_;
  if (waiting_.size() == 1) arm();
  return std::move(made.future);
}

void throttle_lane::arm() { event_loop::current().start(*this, free_at()); }

void throttle_lane::run() noexcept {
  const time_point now = event_loop::current().now();
  for (int i = 0; i < turns_at_once && !waiting_.empty() && has_turn(now); ++i) {
    resolver<> next = std::move(waiting_.front());
    waiting_.pop_front();
    --*total_;
    take_turn(now);
    next.resolve();
  }
  if (!waiting_.empty()) arm();
}

}  // namespace fermata::detail
