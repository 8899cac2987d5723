// SPDX-License-Identifier: MIT
/// What a loop has done lately: a ring of events for Chrome, Perfetto and flame graphs.
///
/// Shape:    always kept are long turns, stalls, detached jobs and the spans that users name; after
///           `start()` also every turn and task, its pauses, and what made what ready. The ring
///           keeps the newest `capacity` events.
/// Units:    nanoseconds since the loop began; on a loop with virtual time those of its clock.
/// Pauses:   never; the writers take about 1 us an event and a snapshot copies 64 bytes an event:
///           `detach` the writing of a snapshot on a loop that must answer.
/// Thread:   loop; a snapshot belongs to who has it and may be written by any thread.
/// Cost:     about 10 ns an event; a test of one pointer where nothing is traced.
/// Lifetime: a span may outlive its loop, then it is not kept.
#pragma once

#include <fermata/loop/time_source.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iosfwd>
#include <limits>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace fermata {

class event_loop;

struct trace_options {
  trace_options() {}            // no aggregate: safe as a default argument under g++ 12
  std::size_t capacity = 8192;  ///< events, 64 bytes each, taken as they come
  std::chrono::nanoseconds long_turn = std::chrono::milliseconds(2);
  std::chrono::nanoseconds stall = std::chrono::milliseconds(25);  ///< a gap between two looks
  /// Where not empty: a turn of at least `dump_turn` writes the ring to `<dump_to>.<n>.json`, on a
  /// thread of its own, one at a time and at most `most_dumps` times.
  std::string dump_to;
  std::chrono::nanoseconds dump_turn = std::chrono::milliseconds(100);
  unsigned most_dumps = 10;
};

enum class trace_kind : std::uint8_t {
  turn,   ///< between two polls
  stall,  ///< between two looks, longer than `trace_options::stall`
  task,   ///< a run of a task from the ready queue
  wake,   ///< something became ready: `id` is that of the task event that follows from it
  pause,  ///< a task gave the thread back: `id` as above
  job,    ///< a detached job on its thread, which is `id`
  sent,   ///< the way of a job to the thread `id`: from its submission to its start
  back,   ///< the way of its result to the loop, where it is delivered at `end`
  span    ///< named by the user; `id` is 0 where it began and ended in one run of a task
};

struct trace_event {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t id = 0;
  std::source_location site;
  trace_kind kind = trace_kind::turn;
  std::array<char, 31> text{};  // ends with 0; a longer name is cut
  [[nodiscard]] std::string_view name() const noexcept { return text.data(); }
};
static_assert(sizeof(trace_event) == 64);

/// A detached job, in readings of `event_trace::now_anywhere`.
struct job_times {
  std::uint64_t submitted = 0;
  std::uint64_t begun = 0;
  std::uint64_t ended = 0;
  std::uint64_t thread = 0;
};

/// A copy of a ring: events by their begin, in nanoseconds.
struct trace_snapshot {
  std::vector<trace_event> events;
  std::uint64_t lost = 0;  ///< events that newer ones have displaced
};

/// Writes the JSON that chrome://tracing and ui.perfetto.dev read, event by event.
void write_chrome_json(std::ostream& to, const trace_snapshot& s);

/// Writes where the thread was held: `task;site nanoseconds`, spans within runs of tasks on top of
/// them, for flamegraph.pl. Without tasks (nothing was started) it writes the stalls.
void write_folded(std::ostream& to, const trace_snapshot& s);

class event_trace {
public:
  /// Made by the loop.
  event_trace(event_loop& loop, trace_options options);
  event_trace(const event_trace&) = delete;
  event_trace& operator=(const event_trace&) = delete;
  /// Waits for a dump that is written.
  ~event_trace();

  /// From now on every turn, task, pause and wake is kept, until `stop`.
  void start();
  void stop() noexcept;
  [[nodiscard]] bool is_started() const noexcept { return is_started_; }
  [[nodiscard]] trace_snapshot snapshot() const;
  [[nodiscard]] unsigned dumps() const noexcept { return dumps_; }

  // What the loop calls. Times are readings of `now`.
  [[nodiscard]] std::uint64_t now() const noexcept;
  /// The same for any thread; 0 on virtual time, which only the loop may read.
  [[nodiscard]] std::uint64_t now_anywhere() const noexcept;
  [[nodiscard]] std::chrono::nanoseconds between(std::uint64_t begin,
                                                 std::uint64_t end) const noexcept;
  void add_job(const job_times& t, std::string_view name) noexcept;
  void add(trace_kind kind,
           std::uint64_t begin,
           std::uint64_t end,
           std::uint64_t id,
           std::source_location site,
           std::string_view name) noexcept;
  void add_span(std::uint64_t begin,
                bool is_one_run,
                std::source_location site,
                std::string_view name) noexcept;
  void turn_ended(time_point begin, time_point end) noexcept {
    if (is_started_ || end - begin >= options_.long_turn) [[unlikely]]
      keep_turn(begin, end);
  }
  void gap_ended(time_point begin,
                 time_point end,
                 std::source_location site,
                 std::string_view task) noexcept {
    if (end - begin >= options_.stall) [[unlikely]]
      keep_stall(begin, end, site, task);
  }

private:
  struct dumping;
  void keep_turn(time_point begin, time_point end) noexcept;
  void keep_stall(time_point begin,
                  time_point end,
                  std::source_location site,
                  std::string_view task) noexcept;
  [[nodiscard]] std::uint64_t reading_of(time_point t) const noexcept;
  void dump() noexcept;

  event_loop& loop_;
  trace_options options_;
  struct free_memory {
    void operator()(void* p) const noexcept { std::free(p); }
  };
  std::unique_ptr<trace_event[], free_memory> ring_;  // what no event came to was never touched
  std::uint64_t added_ = 0;
  bool is_started_ = false;
  bool counts_ticks_ = false;
  std::uint64_t start_ = 0;  // a reading
  time_point started_{};     // the same moment
  unsigned dumps_ = 0;
  std::unique_ptr<dumping> dumping_;
};

/// A named piece of work of the running loop: from here to the end of the scope, also across
/// awaits. Without a loop on this thread it does nothing.
class [[nodiscard]] span {
public:
  /// Shape: of `name` the first 30 bytes are kept.
  [[nodiscard]] explicit span(std::string_view name,
                              std::source_location site = std::source_location::current());
  span(const span&) = delete;
  span& operator=(const span&) = delete;
  ~span();

private:
  event_loop* loop_;
  std::uint64_t begin_ = 0;
  std::uint64_t run_ = 0;  // of which task
  std::source_location site_;
  std::array<char, 31> text_{};
};

}  // namespace fermata
