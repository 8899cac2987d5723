// SPDX-License-Identifier: MIT
// The monitor's thread: samples the loops it watches and reports what the trackers conclude.
//
// Invariants: (1) a loop is read under the mutex of its post, where nothing is allocated and nobody
// is called; (2) callbacks run without any lock.

#include "stack_capture.hpp"

#include <fermata/loop/detail/stall_tracker.hpp>
#include <fermata/loop/error.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/stall_monitor.hpp>
#include <fermata/loop/worker_pool.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace fermata {
namespace detail {

/// What a monitor may reach of a loop.
struct loop_watch {
  static const std::shared_ptr<watch_post>& post(const event_loop& loop) { return loop.post_; }

  /// Thread: any, under the post's mutex.
  static void read(const event_loop& loop, loop_sample& s) noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;
    const pulse& p = loop.pulse_;
    s.turn = p.turn.load(relaxed);
    s.held_since_ns = p.held_since_ns.load(relaxed);
    s.checked_ns = p.checked_ns.load(relaxed);
    s.site = loop.meter_.site.load(relaxed);
    s.timer_lags = p.timer_lags.load(relaxed);
    s.timer_lag_ns = p.timer_lag_ns.load(relaxed);
    if (const context* c = p.running.load(std::memory_order_acquire)) {
      const std::size_t n = std::min(c->name().size(), s.task.size() - 1);
      std::copy_n(c->name().data(), n, s.task.data());
      s.task[n] = '\0';
    }
    if (const worker_pool* pool = p.pool.load(std::memory_order_acquire)) {
      const pool_counts jobs = pool->counts();
      s.jobs_submitted = jobs.submitted;
      s.jobs_queued = jobs.queued + jobs.waiting;
    }
    s.now = loop.now();
  }
};

namespace {

constexpr std::chrono::milliseconds longest_answer{100};  // of a thread that gets a signal

/// A loop that is watched.
struct watched {
  watched(std::string n, std::shared_ptr<watch_post> p, stall_limits limits)
      : name(std::move(n)), post(std::move(p)), tracker(limits) {
    post->watchers.fetch_add(1, std::memory_order_relaxed);
  }
  watched(const watched&) = delete;
  watched& operator=(const watched&) = delete;
  ~watched() { post->watchers.fetch_sub(1, std::memory_order_relaxed); }

  /// False: the loop has ended.
  bool read(loop_sample& s) const {
    const reading mark(*post);
    if (post->loop == nullptr) return false;
    loop_watch::read(*post->loop, s);
    return true;
  }

  /// The stack as it is now. The loop is kept meanwhile, and with it its thread.
  std::vector<std::string> stack() {
    if (!capture) return {};
    const stack_copy* copy = nullptr;
    {
      const std::lock_guard lock(post->mutex);
      if (post->loop != nullptr) copy = capture->take(longest_answer);
    }
    return copy == nullptr ? std::vector<std::string>() : symbolise(*copy);
  }

  std::string name;
  std::optional<stack_capture> capture;
  std::shared_ptr<watch_post> post;
  stall_tracker tracker;
};

}  // namespace
}  // namespace detail

struct stall_monitor::inside {
  explicit inside(stall_options o)
      : options(checked(std::move(o))),
        signal(options.signal == 0 ? 0 : detail::claim_signal(options.signal)),
        limiter(options.reports_per_minute),
        thread([this] { run(); }) {}
  ~inside() {
    {
      const std::lock_guard lock(mutex);
      ending = true;
    }
    wake.notify_all();
    thread.join();
  }

  static stall_options checked(stall_options o) {
    if (std::min({o.limit, o.pool_limit, o.timer_limit}).count() > 0) return o;
    throw contract_error("the limits of a stall monitor must be positive");
  }
  void run();
  time_point look_at(detail::watched& w);
  void report(detail::watched& w, detail::stall_event& e, time_point now);
  void count(stall_kind kind);

  stall_options options;
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::vector<std::shared_ptr<detail::watched>> loops;
  stall_counts counts;
  bool has_news = false;
  bool ending = false;
  int signal;
  detail::report_limiter limiter;  // of the thread
  std::uint64_t suppressed = 0;    // since the last report; of the thread
  std::thread thread;              // the last member: it uses the others
};

void stall_monitor::inside::run() {
  std::unique_lock lock(mutex);
  while (!ending) {
    const auto now_watched = loops;
    lock.unlock();
    time_point next = time_point::max();
    for (const auto& w : now_watched) next = std::min(next, look_at(*w));
    lock.lock();
    std::erase_if(loops, [](const auto& w) {
      const std::lock_guard post(w->post->mutex);
      return w->post->loop == nullptr;
    });
    const auto news = [this] { return ending || std::exchange(has_news, false); };
    if (next == time_point::max()) {
      wake.wait(lock, news);
    } else {
      wake.wait_until(lock, next, news);
    }
  }
}

time_point stall_monitor::inside::look_at(detail::watched& w) {
  detail::loop_sample s;
  if (!w.read(s)) return time_point::max();
  for (detail::stall_event& e : w.tracker.see(s)) {
    e.report.loop = w.name;
    report(w, e, s.now);
  }
  return w.tracker.next(s);
}

void stall_monitor::inside::report(detail::watched& w, detail::stall_event& e, time_point now) {
  const bool admitted = limiter.admits(now, e.report.is_over);
  {
    const std::lock_guard lock(mutex);
    if (e.begins) count(e.report.kind);
    ++(admitted ? counts.reports : counts.suppressed);
  }
  if (!admitted) {
    ++suppressed;
    return;
  }
  e.report.suppressed = std::exchange(suppressed, 0);
  try {
    const bool is_held = e.report.kind == stall_kind::step || e.report.kind == stall_kind::turn;
    if (is_held && !e.report.is_over) e.report.stack = w.stack();
    if (options.log) options.log(log_level::warn, "stall", to_string(e.report));
    if (options.on_stall) options.on_stall(e.report);
  } catch (...) {
    const std::lock_guard lock(mutex);
    ++counts.failed_callbacks;
  }
}

// Under the mutex.
void stall_monitor::inside::count(stall_kind kind) {
  switch (kind) {
    case stall_kind::step:
      ++counts.steps;
      break;
    case stall_kind::turn:
      ++counts.turns;
      break;
    case stall_kind::pool:
      ++counts.pools;
      break;
    case stall_kind::timer:
      ++counts.timers;
      break;
  }
}

stall_monitor::stall_monitor(stall_options options)
    : inside_(std::make_unique<inside>(std::move(options))) {}

stall_monitor::stall_monitor(event_loop& loop, stall_options options)
    : stall_monitor(std::move(options)) {
  watch(loop, "loop");
}

stall_monitor::~stall_monitor() = default;

void stall_monitor::watch(event_loop& loop, std::string name) {
  if (loop.has_virtual_time()) {
    throw contract_error("cannot watch a loop for stalls: its time is virtual");
  }
  const stall_options& o = inside_->options;
  const detail::stall_limits limits{o.limit, o.pool_limit, o.timer_limit};
  auto w =
      std::make_shared<detail::watched>(std::move(name), detail::loop_watch::post(loop), limits);
  if (inside_->signal != 0) w->capture.emplace(inside_->signal);
  {
    const std::lock_guard lock(inside_->mutex);
    inside_->loops.push_back(std::move(w));
    inside_->has_news = true;
  }
  inside_->wake.notify_all();
}

stall_counts stall_monitor::counts() const {
  const std::lock_guard lock(inside_->mutex);
  return inside_->counts;
}

std::string_view to_string(stall_kind kind) noexcept {
  switch (kind) {
    case stall_kind::step:
      return "step";
    case stall_kind::turn:
      return "turn";
    case stall_kind::pool:
      return "pool";
    case stall_kind::timer:
      return "timer";
  }
  return "unknown";
}

std::string to_string(const stall_report& r) {
  const double ms = static_cast<double>(r.held.count()) / 1e6;
  std::string text;
  if (r.kind == stall_kind::pool) {
    text = fmt::format("pool stall: a job of {} {} {:.1f} ms for a thread, {} are queued", r.loop,
                       r.is_over ? "waited" : "has waited", ms, r.queued_jobs);
  } else if (r.kind == stall_kind::timer) {
    text = fmt::format("timer lag: {} is {:.1f} ms late, turn {}", r.loop, ms, r.turn);
  } else {
    text = fmt::format("{} stall: {} {} held for {:.1f} ms by task {} at {}, turn {}",
                       to_string(r.kind), r.loop, r.is_over ? "was" : "is", ms, r.task,
                       to_string(r.site), r.turn);
  }
  for (const std::string& frame : r.stack) text += " < " + frame;
  if (r.suppressed > 0) text += fmt::format(", {} reports suppressed", r.suppressed);
  return text;
}

}  // namespace fermata
