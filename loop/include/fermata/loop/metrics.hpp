// SPDX-License-Identifier: MIT
/// What a loop counts about itself.
///
/// Shape:  a copy is a snapshot (about 20 KB) that any thread may read.
/// Units:  durations in nanoseconds, the rest are counts since the loop began.
/// Thread: loop.
/// Cost:   what `loop_options::measure_steps` asks for takes about 50 ns a step; the rest 2 ns
///         a look or a timer.
#pragma once

#include <fermata/loop/histogram.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace fermata {

/// The longest times between two looks since the last `reset_gaps`.
///
/// Shape: `wall` and `cpu` may come from different gaps; each has the check that ended it.
///        `cpu` and `voluntary_switches` stay 0 unless the loop measures CPU time.
struct gap_report {
  std::chrono::nanoseconds wall{0};
  std::chrono::nanoseconds cpu{0};
  std::uint64_t voluntary_switches = 0;  ///< most of them within one gap
  std::source_location wall_site;
  std::source_location cpu_site;
  std::string wall_task;  ///< name of the task's context
};

/// How long the steps that end at one check have held the thread.
struct site_time {
  std::source_location site;
  std::chrono::nanoseconds held{0};
  std::chrono::nanoseconds over{0};  ///< `held` may be too large by this
  std::uint64_t steps = 0;
};

/// The sites that have held the thread most, in bounded space: a site that is not among them takes
/// the place of the least one and inherits its time as `over`.
class top_sites {
public:
  static constexpr std::size_t most = 32;
  void add(std::source_location site, std::chrono::nanoseconds held) noexcept;
  /// Longest first. Cost: allocates.
  [[nodiscard]] std::vector<site_time> sorted() const;

private:
  std::array<site_time, most> sites_;
  std::size_t count_ = 0;
  std::size_t last_ = 0;  // steps of one site come in a row
};

struct loop_metrics {
  std::uint64_t turns = 0;
  std::uint64_t polls = 0;
  std::uint64_t looks = 0;   ///< polls and looks that found nobody waiting
  std::uint64_t tasks = 0;   ///< nodes run from the ready queue
  std::uint64_t pauses = 0;  ///< `pause()` and due `maybe_pause()` that gave the thread back
  std::uint64_t posts = 0;
  std::uint64_t timers_fired = 0;
  std::uint64_t overruns = 0;         ///< steps that took `longest_step` more than they declared
  std::source_location overrun_site;  ///< of the last one: the check that ended it
  std::string overrun_task;           ///< with `loop_options::check_costs`
  std::chrono::nanoseconds overrun_cpu{0};  ///< the most CPU time, with `check_costs`
  std::uint64_t unobserved_rejections = 0;
  gap_report longest_gap;

  histogram turn;       ///< from the end of a poll to the next poll
  histogram poll_gap;   ///< from one look to the next
  histogram timer_lag;  ///< from a deadline to the poll that made the timer ready
  // Only with `loop_options::measure_steps`:
  histogram step;        ///< from the begin of a task's run, or a check, to the next or its end
  histogram queue_wait;  ///< from becoming ready to running: one node at a time is followed
  histogram pool_wait;   ///< of a detached job, from its submission to its start
  top_sites held;        ///< by the check that ended the step
};

/// `file:line` with the file's last two components.
[[nodiscard]] std::string to_string(const std::source_location& site);

/// The snapshot in the text format of Prometheus: counters `<prefix>_loop_turns_total`, histograms
/// in seconds `<prefix>_loop_turn_seconds`, `<prefix>_loop_held_seconds_total{site="file:line"}`.
///
/// Throws: `contract_error` where the prefix is not a name (letters, digits and `_`, no digit
///         first).
/// Thread: any.
/// Cost:   about 0.1 ms.
[[nodiscard]] std::string to_prometheus(const loop_metrics& m, std::string_view prefix = "fermata");

}  // namespace fermata
