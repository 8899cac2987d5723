// SPDX-License-Identifier: MIT
/// A thread that says who holds a loop, while the loop is still held.
///
/// Shape:    one report when a stall reaches its limit, one at 2, 4, 8 ... times the limit, one at
///           its end with the total. At most `reports_per_minute`, the last of them kept for the
///           end of a stall; those held back are counted. Each report is a call of `on_stall` and a
///           line `warn stall: ...` to `log`.
/// Pauses:   never.
/// Thread:   the constructor and `watch` are called on the loop's thread, the rest on any; a loop
///           may end before its monitor. `on_stall` and `log` run on the monitor's thread while the
///           loop may still be held: they do not touch what belongs to the loop.
/// Cost:     nothing on the loop but a few plain stores a step. The monitor wakes at every quarter
///           of `limit`, more often while a stall begins: below 0.1 % of a core at 25 ms.
/// Lifetime: the destructor waits for a callback that runs; `on_stall` must not destroy it.
#pragma once

#include <fermata/loop/log.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace fermata {

class event_loop;

enum class stall_kind : std::uint8_t {
  step,  ///< one step held the thread: no pause check for most of the time
  turn,  ///< many short steps, with checks but without a look
  pool,  ///< a detached job waits for a thread
  timer  ///< timers are late although the loop is not held: too many at once, or a busy machine
};

[[nodiscard]] std::string_view to_string(stall_kind kind) noexcept;

struct stall_report {
  stall_kind kind = stall_kind::step;
  bool is_over = false;              ///< the stall has ended, `held` is the total
  std::chrono::nanoseconds held{0};  ///< time without a look; the oldest job's wait; the lateness
  /// The last pause check or await of the step that runs; unknown where it has made none.
  std::source_location site;
  std::string task;                ///< name of the running task's context
  std::string loop;                ///< the name given to `watch`
  std::uint64_t turn = 0;          ///< of the loop
  std::uint64_t queued_jobs = 0;   ///< of a pool stall
  std::uint64_t suppressed = 0;    ///< reports held back since the last one
  std::vector<std::string> stack;  ///< `function at file:line`, innermost first
};

/// `step stall: main is held for 27 ms by task import at src/import.cpp:40, turn 12`.
[[nodiscard]] std::string to_string(const stall_report& r);

struct stall_options {
  stall_options() {}  // no aggregate: safe as a default argument under g++ 12
  std::chrono::nanoseconds limit = std::chrono::milliseconds(25);  ///< step and turn stalls
  std::chrono::nanoseconds pool_limit = std::chrono::seconds(1);
  std::chrono::nanoseconds timer_limit = std::chrono::milliseconds(100);
  unsigned reports_per_minute = 5;
  /// Where not 0 a report of a held loop has its stack: this signal (SIGRTMIN to SIGRTMAX) makes
  /// the held thread copy up to 64 KB of it, which the monitor unwinds and names (10-100 ms of its
  /// time a report). System calls that the signal interrupts are restarted where the system does
  /// that. While an exception unwinds there is no stack. The handler stays installed.
  int signal = 0;
  static constexpr int free_signal = -1;  ///< takes the first real-time signal without a handler
  std::function<void(const stall_report&)> on_stall;
  log_sink log;  ///< called on the monitor's thread
};

/// What a monitor has seen.
struct stall_counts {
  std::uint64_t steps = 0;  ///< stalls of each kind, counted when they begin
  std::uint64_t turns = 0;
  std::uint64_t pools = 0;
  std::uint64_t timers = 0;
  std::uint64_t reports = 0;
  std::uint64_t suppressed = 0;
  std::uint64_t failed_callbacks = 0;  ///< `on_stall` threw
};

class stall_monitor {
public:
  /// Throws: `contract_error` where the signal cannot be used or a limit is not positive.
  explicit stall_monitor(stall_options options = {});
  /// The same, and watches `loop` under the name `loop`.
  explicit stall_monitor(event_loop& loop, stall_options options = {});
  stall_monitor(const stall_monitor&) = delete;
  stall_monitor& operator=(const stall_monitor&) = delete;
  ~stall_monitor();

  /// Thread: that of `loop`. Throws: `contract_error` where its time is virtual.
  void watch(event_loop& loop, std::string name);
  [[nodiscard]] stall_counts counts() const;

private:
  struct inside;
  std::unique_ptr<inside> inside_;
};

}  // namespace fermata
