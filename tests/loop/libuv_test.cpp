// SPDX-License-Identifier: MIT
#include "support/policy.hpp"

#include <fermata/loop/event_loop.hpp>

#include <catch2/catch.hpp>
#include <uv.h>

#include <thread>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::event_loop;

namespace {

void step_until(event_loop& loop, const bool& done) {
  while (!done) loop.step();
}

// A task that waits without end, so that the loop sleeps in its polls.
class flag_promise {
public:
  explicit flag_promise(const bool& flag) : flag_(flag) {}
  [[nodiscard]] bool is_pending() const { return !flag_; }
  void get() && {}

private:
  const bool& flag_;
};

}  // namespace

TEST_CASE("libuv: a timer wakes a loop that sleeps, and is not early", "[loop][libuv]") {
  event_loop loop(options_of_run());
  uv_timer_t timer;
  bool fired = false;
  timer.data = &fired;
  const auto start = loop.now();
  uv_timer_init(loop.uv(), &timer);
  uv_timer_start(
      &timer, [](uv_timer_t* t) { *static_cast<bool*>(t->data) = true; }, 5, 0);
  loop.run([&fired] { return flag_promise(fired); });
  CHECK(loop.now() - start >= 4ms);  // libuv counts from the last whole millisecond
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
}

TEST_CASE("libuv: a look of a busy task sees that a timer is due", "[loop][libuv]") {
  event_loop loop;
  uv_timer_t timer;
  uv_timer_init(loop.uv(), &timer);
  const auto ignore = [](uv_timer_t*) {};
  uv_timer_start(&timer, ignore, 2, 0);
  bool gives_way = false;
  loop.run([&] {
    const auto end = loop.now() + 5s;
    while (!gives_way && loop.now() < end) gives_way = fermata::due(10us);
  });
  CHECK(gives_way);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
}

TEST_CASE("libuv: its time is fresh after long work", "[loop][libuv]") {
  event_loop loop(options_of_run());
  uv_loop_t* const uv = loop.uv();
  const auto before = uv_now(uv);
  const auto until = loop.now() + 5ms;
  while (loop.now() < until) {
  }
  loop.step();
  CHECK(uv_now(uv) >= before + 4);
}

TEST_CASE("libuv: another thread wakes a loop that sleeps", "[loop][libuv]") {
  event_loop loop(options_of_run());
  uv_async_t async;
  bool came = false;
  async.data = &came;
  uv_async_init(loop.uv(), &async, [](uv_async_t* h) { *static_cast<bool*>(h->data) = true; });
  std::thread other([&async] { uv_async_send(&async); });
  loop.run([&came] { return flag_promise(came); });
  other.join();
  uv_close(reinterpret_cast<uv_handle_t*>(&async), nullptr);
  CHECK(came);
}

TEST_CASE("libuv: handles without a reference run too, and idle ones at each poll",
          "[loop][libuv]") {
  event_loop loop(options_of_run());
  uv_timer_t timer;
  bool fired = false;
  timer.data = &fired;
  uv_timer_init(loop.uv(), &timer);
  uv_timer_start(
      &timer, [](uv_timer_t* t) { *static_cast<bool*>(t->data) = true; }, 0, 0);
  uv_unref(reinterpret_cast<uv_handle_t*>(&timer));
  step_until(loop, fired);
  uv_idle_t idle;
  int times = 0;
  idle.data = &times;
  uv_idle_init(loop.uv(), &idle);
  uv_idle_start(&idle, [](uv_idle_t* h) { ++*static_cast<int*>(h->data); });
  for (int i = 0; i < 3; ++i) loop.step();
  CHECK(times == 3);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&idle), nullptr);
}

TEST_CASE("libuv: the time that its callbacks take is in the gap", "[loop][libuv]") {
  fermata::virtual_clock clock;
  fermata::loop_options options = options_of_run();
  options.clock = &clock;
  event_loop loop(std::move(options));
  uv_idle_t idle;
  idle.data = &clock;
  uv_idle_init(loop.uv(), &idle);
  uv_idle_start(&idle, [](uv_idle_t* h) {
    static_cast<fermata::virtual_clock*>(h->data)->advance(7ms);
    uv_idle_stop(h);
  });
  loop.step();
  loop.step();
  CHECK(loop.metrics().longest_gap.wall == 7ms);
  uv_close(reinterpret_cast<uv_handle_t*>(&idle), nullptr);
}
