// SPDX-License-Identifier: MIT
// The test loop and the heartbeat.

#include <fermata/promise/heartbeat.hpp>
#include <fermata/promise/test_loop.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace fermata {

stalled::stalled(const gap_report& gap)
    : error(fmt::format("the loop was held for {} us, until {} (task {})",
                        gap.wall.count() / 1000,
                        to_string(gap.wall_site),
                        gap.wall_task)) {}

loop_options test_loop::prepare(loop_options options) {
  options.clock = &clock_;
  options.on_deadlock = [] { throw deadlock(); };
  return options;
}

void test_loop::check_gap() const {
  const gap_report& gap = loop_.metrics().longest_gap;
  if (allowed_ && gap.wall > *allowed_) throw stalled(gap);
}

heartbeat::heartbeat(event_loop& loop, std::chrono::nanoseconds interval)
    : loop_(loop), interval_(interval), next_(loop.now() + interval) {
  loop_.start(*this, next_);
}

void heartbeat::run() noexcept {
  const time_point now = loop_.now();
  lateness_.push_back(now - next_);
  next_ = std::max(next_ + interval_, now);  // missed beats are one late beat
  loop_.start(*this, next_);
}

std::chrono::nanoseconds heartbeat::quantile(double q) const {
  if (lateness_.empty()) return {};
  auto sorted = lateness_;
  std::sort(sorted.begin(), sorted.end());
  const auto i = static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1) + 0.5);
  return sorted[std::min(i, sorted.size() - 1)];
}

std::chrono::nanoseconds heartbeat::longest() const {
  const std::chrono::nanoseconds overdue = loop_.now() - next_;
  return std::max(std::max(overdue, std::chrono::nanoseconds(0)), quantile(1.0));
}

}  // namespace fermata
