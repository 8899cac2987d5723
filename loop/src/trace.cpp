// SPDX-License-Identifier: MIT
// The ring of events, and what is kept in it without being asked for.
//
// Times are the processor's counter where it runs steadily, else the loop's clock in nanoseconds. A
// pair of readings at the begin and one at the snapshot turn them into nanoseconds.

#include "ticks.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/trace.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <utility>

namespace fermata {
namespace {

void copy_name(std::array<char, 31>& to, std::string_view name) noexcept {
  const std::size_t n = std::min(name.size(), to.size() - 1);
  std::copy_n(name.data(), n, to.data());
  to[n] = '\0';
}

}  // namespace

struct event_trace::dumping {
  std::atomic<bool> is_over = false;
  std::thread thread;
};

event_trace::event_trace(event_loop& loop, trace_options options)
    : loop_(loop),
      options_(std::move(options)),
      counts_ticks_(!loop.has_virtual_time() && detail::ticks_per_us() > 0),
      start_(now()),
      started_(loop.now()) {
  constexpr std::size_t most_events = std::size_t{1} << 32;
  options_.capacity = std::bit_ceil(std::min(options_.capacity, most_events));
}

event_trace::~event_trace() {
  if (dumping_) dumping_->thread.join();
}

std::uint64_t event_trace::now() const noexcept {
  if (counts_ticks_) return detail::ticks();
  return static_cast<std::uint64_t>(loop_.now().time_since_epoch().count());
}

std::uint64_t event_trace::now_anywhere() const noexcept {
  return loop_.has_virtual_time() ? 0 : now();
}

std::chrono::nanoseconds event_trace::between(std::uint64_t begin,
                                              std::uint64_t end) const noexcept {
  const std::uint64_t readings = end > begin ? end - begin : 0;
  const double rate = counts_ticks_ ? 1000.0 / static_cast<double>(detail::ticks_per_us()) : 1.0;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(static_cast<double>(readings) * rate));
}

void event_trace::add_job(const job_times& t, std::string_view name) noexcept {
  const std::uint64_t end = t.ended == 0 ? now() : t.ended;  // on virtual time a job takes none
  add(trace_kind::job, t.begun == 0 ? end : t.begun, end, t.thread, {}, name);
  if (!is_started_ || t.begun == 0) return;
  add(trace_kind::sent, t.submitted, t.begun, t.thread, {}, name);
  add(trace_kind::back, t.ended, now(), t.thread, {}, name);
}

std::uint64_t event_trace::reading_of(time_point t) const noexcept {
  if (!counts_ticks_) return static_cast<std::uint64_t>(t.time_since_epoch().count());
  return now() - detail::to_ticks(loop_.now() - t);  // back from now: the rate is a rough one
}

void event_trace::start() {
  is_started_ = true;
  loop_.observe();
}

void event_trace::stop() noexcept {
  is_started_ = false;
  loop_.observe();
}

void event_trace::add(trace_kind kind,
                      std::uint64_t begin,
                      std::uint64_t end,
                      std::uint64_t id,
                      std::source_location site,
                      std::string_view name) noexcept {
  if (!ring_) {
    // Not `new`, which would write to all of it in one step: half a millisecond and more.
    ring_.reset(static_cast<trace_event*>(std::malloc(options_.capacity * sizeof(trace_event))));
    if (!ring_) return;
  }
  trace_event& e = ring_[added_++ & (options_.capacity - 1)];
  e.begin = begin;
  e.end = end;
  e.id = id;
  e.site = site;
  e.kind = kind;
  copy_name(e.text, name);
}

void event_trace::add_span(std::uint64_t begin,
                           bool is_one_run,
                           std::source_location site,
                           std::string_view name) noexcept {
  if (begin < start_) return;  // of a loop that stood at this place before
  add(trace_kind::span, begin, now(), is_one_run ? 0 : 1, site, name);
}

void event_trace::keep_turn(time_point begin, time_point end) noexcept {
  add(trace_kind::turn, reading_of(begin), reading_of(end), 0, {}, "turn");
  if (!options_.dump_to.empty() && end - begin >= options_.dump_turn) dump();
}

void event_trace::keep_stall(time_point begin,
                             time_point end,
                             std::source_location site,
                             std::string_view task) noexcept {
  add(trace_kind::stall, reading_of(begin), reading_of(end), 0, site, task);
}

trace_snapshot event_trace::snapshot() const {
  trace_snapshot s;
  const std::size_t n = std::min<std::uint64_t>(added_, options_.capacity);
  s.lost = added_ - n;
  s.events.reserve(n);
  for (std::uint64_t i = s.lost; i < added_; ++i) {
    s.events.push_back(ring_[i & (options_.capacity - 1)]);
  }
  double ns_per_reading = 1.0;
  if (counts_ticks_) {
    const auto ns = static_cast<double>((loop_.now() - started_).count());
    const auto readings = static_cast<double>(now() - start_);
    ns_per_reading = readings > 0 ? ns / readings : 1.0;
  }
  const auto ns_at = [&](std::uint64_t reading) {
    if (reading <= start_) return std::uint64_t{0};
    return static_cast<std::uint64_t>(static_cast<double>(reading - start_) * ns_per_reading);
  };
  for (trace_event& e : s.events) {
    e.begin = ns_at(e.begin);
    e.end = ns_at(e.end);
  }
  // What encloses comes before what it encloses, and what woke a task before the task. Where times
  // are equal, as on virtual time, the kind decides.
  std::stable_sort(s.events.begin(), s.events.end(),
                   [](const trace_event& a, const trace_event& b) {
                     if (a.begin != b.begin) return a.begin < b.begin;
                     const bool a_wakes = a.kind == trace_kind::wake;
                     const bool b_wakes = b.kind == trace_kind::wake;
                     if (a_wakes != b_wakes) return a_wakes;
                     return a.end != b.end ? a.end > b.end : a.kind < b.kind;
                   });
  return s;
}

void event_trace::dump() noexcept {
  if (dumps_ >= options_.most_dumps || (dumping_ && !dumping_->is_over.load())) return;
  try {
    if (dumping_) dumping_->thread.join();
    dumping_ = std::make_unique<dumping>();
    std::string path = fmt::format("{}.{}.json", options_.dump_to, dumps_);
    dumping_->thread =
        std::thread([s = snapshot(), path = std::move(path), is_over = &dumping_->is_over] {
          std::ofstream file(path);
          write_chrome_json(file, s);
          file.close();
          is_over->store(true);
        });
    ++dumps_;
  } catch (...) {
    dumping_.reset();  // no memory or no thread: this turn is not dumped
  }
}

span::span(std::string_view name, std::source_location site)
    : loop_(event_loop::find_current()), site_(site) {
  if (loop_ == nullptr) return;
  copy_name(text_, name);
  run_ = loop_->metrics().tasks;
  begin_ = loop_->trace().now();
}

span::~span() {
  if (loop_ == nullptr || event_loop::find_current() != loop_) return;
  const bool is_one_run = run_ == loop_->metrics().tasks;
  loop_->trace().add_span(begin_, is_one_run, site_, text_.data());
}

}  // namespace fermata
