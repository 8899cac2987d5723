// SPDX-License-Identifier: MIT
// A sleep is one object: the state of its promise and the timer that settles it.

#include <fermata/promise/sleep.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>

namespace fermata {
namespace {

class sleeping final : public detail::state<void>, private timer_node, private detail::canceller {
public:
  explicit sleeping(time_point deadline) {
    event_loop& loop = event_loop::current();
    set_producer(this);
    add_ref();  // the timer's
    loop.start(*this, deadline);
  }

private:
  void run() noexcept override {
    typed_root().resolve();  // does nothing where a cancel came first
    release();
  }
  void lost() noexcept override { end(std::make_exception_ptr(loop_closed())); }
  detail::state_base* request_cancel() noexcept override {
    end(detail::plain_cancelled());
    return nullptr;
  }
  void end(const std::exception_ptr& e) noexcept {
    stop();
    root().reject(e);
    release();
  }
};

}  // namespace

promise<> sleep_until(time_point t) {
  detail::state<void>* s = new sleeping(t);
  promise<> p = detail::access::handle(s);
  s->release();
  return p;
}

promise<> sleep_for(std::chrono::nanoseconds d) {
  return sleep_until(event_loop::current().after(d));
}

namespace {

std::string late_after(std::chrono::nanoseconds d) {
  const std::int64_t us = std::max<std::int64_t>(d.count(), 0) / 1000;
  return us > 0 && us < 1000 ? fmt::format("timed out after {} us", us)
                             : fmt::format("timed out after {} ms", us / 1000);
}

}  // namespace

timed_out::timed_out(std::chrono::nanoseconds after) : error(late_after(after)) {}

}  // namespace fermata
