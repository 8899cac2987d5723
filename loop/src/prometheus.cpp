// SPDX-License-Identifier: MIT
// A snapshot of a loop's metrics as Prometheus text (version 0.0.4).

#include <fermata/loop/error.hpp>
#include <fermata/loop/metrics.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace fermata {
namespace {

constexpr unsigned first_power = 10;  // buckets end at 2^10 ns (1 us) to 2^33 ns (8.6 s)
constexpr unsigned last_power = 33;

bool is_name(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !text.empty() && !(text[0] >= '0' && text[0] <= '9') &&
         std::all_of(text.begin(), text.end(), fits);
}

class page {
public:
  explicit page(std::string_view prefix) : prefix_(prefix) {}

  void counter(std::string_view name, std::string_view help, std::uint64_t value) {
    head(name, help, "counter");
    line("{}_loop_{} {}\n", prefix_, name, value);
  }
  void gauge(std::string_view name, std::string_view help, double value) {
    head(name, help, "gauge");
    line("{}_loop_{} {}\n", prefix_, name, value);
  }
  void durations(std::string_view name, std::string_view help, const histogram& h) {
    head(name, help, "histogram");
    for (unsigned power = first_power; power <= last_power; ++power) {
      const std::chrono::nanoseconds end((std::int64_t{1} << power) - 1);
      line("{}_loop_{}_bucket{{le=\"{}\"}} {}\n", prefix_, name, seconds(end), h.count_up_to(end));
    }
    line("{}_loop_{}_bucket{{le=\"+Inf\"}} {}\n", prefix_, name, h.count());
    line("{}_loop_{}_sum {}\n", prefix_, name, seconds(h.sum()));
    line("{}_loop_{}_count {}\n", prefix_, name, h.count());
  }
  void sites(const top_sites& all) {
    const std::vector<site_time> sorted = all.sorted();
    if (sorted.empty()) return;
    head("held_seconds_total", "Time held by the steps that end at a check.", "counter");
    for (const site_time& s : sorted) {
      line("{}_loop_held_seconds_total{{site=\"{}\"}} {}\n", prefix_, quoted(to_string(s.site)),
           seconds(s.held));
    }
  }
  std::string take() { return std::move(text_); }

private:
  static double seconds(std::chrono::nanoseconds d) { return static_cast<double>(d.count()) / 1e9; }
  static std::string quoted(const std::string& text) {
    std::string out;
    for (const char c : text) {
      if (c == '\\' || c == '"') out += '\\';
      out += c == '\n' ? ' ' : c;
    }
    return out;
  }
  void head(std::string_view name, std::string_view help, std::string_view type) {
    line("# HELP {}_loop_{} {}\n", prefix_, name, help);
    line("# TYPE {}_loop_{} {}\n", prefix_, name, type);
  }
  template <typename... Args>
  void line(fmt::format_string<Args...> form, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), form, std::forward<Args>(args)...);
  }

  std::string_view prefix_;
  std::string text_;
};

}  // namespace

std::string to_prometheus(const loop_metrics& m, std::string_view prefix) {
  if (!is_name(prefix)) {
    throw contract_error(fmt::format("'{}' is no prefix of metric names", prefix));
  }
  page p(prefix);
  p.counter("turns_total", "Turns of the loop.", m.turns);
  p.counter("polls_total", "Polls for events.", m.polls);
  p.counter("looks_total", "Polls, and looks that found nobody waiting.", m.looks);
  p.counter("tasks_total", "Tasks run from the ready queue.", m.tasks);
  p.counter("pauses_total", "Pauses that gave the thread back.", m.pauses);
  p.counter("posts_total", "Functions posted by other threads.", m.posts);
  p.counter("timers_fired_total", "Timers that became ready.", m.timers_fired);
  p.counter("overruns_total", "Steps that took far longer than declared.", m.overruns);
  p.counter("unobserved_rejections_total", "Rejections that nobody saw.", m.unobserved_rejections);
  p.gauge("longest_gap_seconds", "Longest time between two looks.",
          static_cast<double>(m.longest_gap.wall.count()) / 1e9);
  p.durations("turn_seconds", "From the end of a poll to the next poll.", m.turn);
  p.durations("poll_gap_seconds", "From one look to the next.", m.poll_gap);
  p.durations("timer_lag_seconds", "Lateness of timers.", m.timer_lag);
  if (m.step.count() > 0) {
    p.durations("step_seconds", "Steps between two checks.", m.step);
    p.durations("queue_wait_seconds", "From becoming ready to running.", m.queue_wait);
    p.durations("pool_wait_seconds", "Detached jobs, from submission to start.", m.pool_wait);
  }
  p.sites(m.held);
  return p.take();
}

}  // namespace fermata
