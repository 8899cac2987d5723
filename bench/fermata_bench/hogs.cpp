// SPDX-License-Identifier: MIT
// c12: how late a 1 ms ticker is beside tasks that hold the thread for a while and then yield.
//
//   c12   10 s of work in one hog that pauses every 0.7 to 1.3 ms
//   c12m  the same work in 20 hogs
//   c12k  the same work in 1,000 hogs that check with `maybe_pause` every 10 us
//   each: _p50 _p99 _max  lateness of the ticker, us; _stretch  wall time over work
//
// Ticks are due at fixed times, and one that was due while the thread was held counts too.
// HOG_SECONDS says how much work there is; --ms where it does not.

#include "cases.hpp"
#include "hog_work.hpp"

#include <fermata/promise/combine.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace bench {
namespace {

using fermata::promise;
using namespace std::chrono_literals;

promise<> yielding_hog(nanoseconds work, unsigned seed) {
  for (pieces left(work, seed); left.hold_next();) co_await fermata::pause();
}

promise<> checking_hog(nanoseconds work, unsigned) {
  for (; work > 0ns; work -= 10us) {
    spin(10us);
    co_await fermata::maybe_pause(10us);
  }
}

promise<> tick(tick_log& ticks, const bool& is_over) {
  while (!is_over) {
    promise<> next = ticks.is_due() ? fermata::ready() : fermata::sleep_until(ticks.due());
    co_await next;
    ticks.note();
  }
}

using hog = promise<> (*)(nanoseconds work, unsigned seed);

promise<> run_beside_ticker(tick_log& ticks, unsigned hogs, nanoseconds share, hog start) {
  bool is_over = false;
  promise<> ticker = tick(ticks, is_over);
  std::vector<promise<>> running;
  running.reserve(hogs);
  for (unsigned i = 0; i < hogs; ++i) {
    running.push_back(start(share, i + 1));
    co_await fermata::maybe_pause(2ms);  // each has held the thread once
  }
  promise<> end = fermata::join(std::move(running));
  co_await end;
  is_over = true;
  co_await ticker;
}

void measure(const settings& s, const std::string& prefix, unsigned hogs, hog start) {
  const nanoseconds work = work_of(s);
  fermata::event_loop loop;
  tick_log ticks;
  loop.run([&] { return run_beside_ticker(ticks, hogs, work / hogs, start); });
  ticks.print(prefix, work);
}

}  // namespace

void run_one_hog(const settings& s) { measure(s, "c12", 1, yielding_hog); }
void run_many_hogs(const settings& s) { measure(s, "c12m", 20, yielding_hog); }
void run_checking_hogs(const settings& s) { measure(s, "c12k", 1000, checking_hog); }

}  // namespace bench
