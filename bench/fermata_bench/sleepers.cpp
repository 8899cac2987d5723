// SPDX-License-Identifier: MIT
// c9: 100,000 tasks that sleep for an hour. A task is a coroutine that awaits `sleep_for(1h)`, held
// by a promise whose place is there before. Lower is better.
//
//   c9_create   ns to start one, up to its wait
//   c9_cancel   ns to cancel one, up to the end of all
//   c9_bytes    resident bytes of one, by the first round in the process, before memory is reused
//   c9p_...     the same with plain promises of `sleep_for`, without a coroutine around them

#include "cases.hpp"

#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>

#include <malloc.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace bench {
namespace {

using fermata::promise;
using namespace std::chrono_literals;

constexpr std::size_t sleepers = 100'000;

promise<> sleep_in_task() { co_await fermata::sleep_for(1h); }
promise<> sleep_plainly() { return fermata::sleep_for(1h); }

struct round_times {
  double create_ns = 0;
  double cancel_ns = 0;
  double bytes = 0;
};

promise<> all_ended(const std::vector<promise<>>& tasks) {
  for (const promise<>& task : tasks) {
    while (task.is_pending()) co_await fermata::pause();
    require(task.is_rejected() && fermata::is_cancelled(task.error()), "c9: each is cancelled");
  }
}

template <typename F>
promise<round_times> one_round(F start, std::vector<promise<>>& tasks) {
  constexpr auto count = static_cast<double>(sleepers);
  round_times t;
  const std::size_t before = resident_bytes();
  t.create_ns = 1e9 / count * seconds_of([&] {
                  for (promise<>& task : tasks) task = start();
                });
  t.bytes = (static_cast<double>(resident_bytes()) - static_cast<double>(before)) / count;
  const clock::time_point begun = clock::now();
  for (const promise<>& task : tasks) fermata::cancel(task);
  co_await all_ended(tasks);
  t.cancel_ns = std::chrono::duration<double, std::nano>(clock::now() - begun).count() / count;
  co_return t;
}

template <typename F>
void measure(const settings& s, const std::string& prefix, F start) {
  fermata::event_loop loop;
  std::vector<promise<>> tasks(sleepers);
  std::vector<double> create;
  std::vector<double> cancel;
  double bytes = 0;
  repeat(s, [&](bool measures) {
    const round_times t = loop.run([&] { return one_round(start, tasks); });
    if (bytes == 0) bytes = t.bytes;
    if (!measures) return;
    create.push_back(t.create_ns);
    cancel.push_back(t.cancel_ns);
  });
  print_figure(prefix + "_create", "ns", median(std::move(create)));
  print_figure(prefix + "_cancel", "ns", median(std::move(cancel)));
  print_figure(prefix + "_bytes", "B", bytes);
}

}  // namespace

void run_sleepers(const settings& s) {
  measure(s, "c9", sleep_in_task);
  malloc_trim(0);  // so that the next round finds no page of this one
  measure(s, "c9p", sleep_plainly);
}

}  // namespace bench
