// SPDX-License-Identifier: MIT
// trace: what it costs to know what the loop has done. ns, lower is better.
//
//   trace_span       a span that a user names: always kept
//   trace_pause1000  c3_pause1000 after `trace.start()`, which keeps every turn, task and pause
//   trace_event      what each event adds to that

#include "cases.hpp"
#include "pause_work.hpp"

#include <fermata/loop/trace.hpp>

#include <cstddef>

namespace bench {
namespace {

constexpr std::size_t pauses = tasks * pauses_each;
constexpr std::size_t spans = 5000;

void run_pauses_on(fermata::event_loop& loop) {
  std::size_t done = 0;
  loop.run([&done] { return pause_side_by_side(done); });
  require(done == pauses, "trace: every step counts one");
}

std::size_t events_of(fermata::event_loop& loop) {
  const fermata::trace_snapshot s = loop.trace().snapshot();
  return s.events.size() + static_cast<std::size_t>(s.lost);
}

double time_spans(const settings& s) {
  fermata::event_loop loop;
  return ns_an_operation(s, spans, [&] {
    loop.run([] {
      for (std::size_t i = 0; i < spans; ++i) {
        const fermata::span named("a piece of work");
      }
    });
  });
}

double time_pauses(const settings& s, fermata::event_loop& loop) {
  return ns_an_operation(s, pauses, [&] { run_pauses_on(loop); });
}

}  // namespace

void run_trace(const settings& s) {
  print_figure("trace_span", "ns", time_spans(s));
  fermata::event_loop plain;
  fermata::event_loop traced;
  traced.trace().start();
  run_pauses_on(traced);
  const std::size_t before = events_of(traced);
  run_pauses_on(traced);
  const std::size_t events = events_of(traced) - before;
  require(events >= 2 * pauses, "trace: a pause and a task are kept for each step");
  const double untraced = time_pauses(s, plain);
  const double with_all = time_pauses(s, traced);
  print_figure("trace_pause1000", "ns", with_all);
  print_figure("trace_event", "ns", (with_all - untraced) * pauses / static_cast<double>(events));
}

}  // namespace bench
