// SPDX-License-Identifier: MIT
// c3: giving the thread back, and only asking whether to. ns, lower is better.
//
//   c3_pause1     one task pauses, and I/O is looked at each time
//   c3_pause1000  1,000 tasks pause in turn
//   c3_maybe      `maybe_pause` where nobody waits

#include "cases.hpp"
#include "pause_work.hpp"

#include <fermata/promise/pause.hpp>

#include <cstddef>

namespace bench {
namespace {

using fermata::promise;

constexpr std::size_t pauses_alone = 1000;
constexpr std::size_t checks = 50'000;

promise<> check_often(std::size_t n, std::size_t& done) {
  for (std::size_t i = 0; i < n; ++i) {
    ++done;
    co_await fermata::maybe_pause();
  }
}

template <typename F>
double time_steps(const settings& s, std::size_t steps, F start) {
  fermata::event_loop loop;
  return ns_an_operation(s, steps, [&] {
    std::size_t done = 0;
    loop.run([&] { return start(done); });
    require(done == steps, "c3: every step counts one");
  });
}

}  // namespace

void run_pauses(const settings& s) {
  print_figure("c3_pause1", "ns", time_steps(s, pauses_alone, [](std::size_t& done) {
                 return pause_often(pauses_alone, done);
               }));
  print_figure("c3_pause1000", "ns", time_steps(s, tasks * pauses_each, pause_side_by_side));
  print_figure("c3_maybe", "ns",
               time_steps(s, checks, [](std::size_t& done) { return check_often(checks, done); }));
}

}  // namespace bench
