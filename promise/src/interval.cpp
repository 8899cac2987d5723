// SPDX-License-Identifier: MIT
// Which tick comes next.

#include <fermata/promise/interval.hpp>

namespace fermata {

interval::interval(std::chrono::nanoseconds period, missed_tick missed)
    : period_(period), missed_(missed), next_(event_loop::current().now()) {
  if (period.count() <= 0) throw contract_error("the period of an interval must be positive");
}

promise<time_point> interval::tick() {
  struct awaited {
    explicit awaited(bool& f) : flag(f) { flag = true; }
    ~awaited() { flag = false; }
    bool& flag;
  };
  if (is_awaited_) throw contract_error("a tick of this interval is waited for already");
  const awaited guard(is_awaited_);
  promise<> wait = sleep_until(next_);
  co_await wait;
  const time_point planned = next_;
  next_ = after(planned, event_loop::current().now());
  co_return planned;
}

time_point interval::after(time_point planned, time_point now) const noexcept {
  switch (missed_) {
    case missed_tick::burst:
      break;
    case missed_tick::delay:
      return later(now, period_);
    case missed_tick::skip:
      return later(planned + (now - planned) / period_ * period_, period_);
  }
  return later(planned, period_);
}

void interval::reset() { next_ = event_loop::current().after(period_); }

}  // namespace fermata
