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

overran::overran(const loop_metrics& m)
    : error(fmt::format("{} steps took longer than declared: up to {} us of CPU time, the last of "
                        "task {} until {}",
                        m.overruns,
                        m.overrun_cpu.count() / 1000,
                        m.overrun_task,
                        to_string(m.overrun_site))) {}

seed_failed::seed_failed(std::uint64_t seed, std::exception_ptr why)
    : error(fmt::format("seed {}: {}", seed, message_of(why))), seed_(seed), why_(std::move(why)) {}

loop_options test_loop::prepare(loop_options options) {
  options.clock = &clock_;
  options.on_deadlock = [] { throw deadlock(); };
  return options;
}

void test_loop::check() const {
  const loop_metrics& m = loop_.metrics();
  if (allowed_ && m.longest_gap.wall > *allowed_) throw stalled(m.longest_gap);
  if (checks_costs_ && m.overruns > 0) throw overran(m);
}

heartbeat::heartbeat(event_loop& loop, std::chrono::nanoseconds interval)
    : loop_(loop), interval_(interval), next_(loop.after(interval)) {
  if (interval.count() <= 0) throw contract_error("the interval of a heartbeat must be positive");
  loop_.start(*this, next_);
}

void heartbeat::run() noexcept {
  const time_point now = loop_.now();
  lateness_.push_back(now - next_);
  next_ = std::max(later(next_, interval_), now);  // missed beats are one late beat
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
