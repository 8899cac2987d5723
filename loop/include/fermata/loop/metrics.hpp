// SPDX-License-Identifier: MIT
/// What a loop counts about itself.
///
/// Units:  durations in nanoseconds, the rest are counts since the loop began.
/// Thread: loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <source_location>
#include <string>

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

struct loop_metrics {
  std::uint64_t turns = 0;
  std::uint64_t polls = 0;
  std::uint64_t looks = 0;   ///< polls and looks that found nobody waiting
  std::uint64_t tasks = 0;   ///< nodes run from the ready queue
  std::uint64_t pauses = 0;  ///< `pause()` and due `maybe_pause()` that gave the thread back
  std::uint64_t posts = 0;
  std::uint64_t timers_fired = 0;
  std::uint64_t overruns = 0;  ///< steps that took `longest_step` more than they declared
  std::source_location overrun_site;
  std::uint64_t unobserved_rejections = 0;
  gap_report longest_gap;
};

/// `file:line` with the file's last two components.
[[nodiscard]] std::string to_string(const std::source_location& site);

}  // namespace fermata
