// SPDX-License-Identifier: MIT
// What the service says about itself.

#include "service_core.hpp"

#include <fermata/git_mem/naming.hpp>

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

namespace fermata::mirror {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds shortest_wait{1};
constexpr seconds longest_wait{30};
constexpr milliseconds least_rest{3000};                   // of work whose end nobody can tell
constexpr std::chrono::microseconds index_per_object{25};  // of the opam repository at depth 1

// A factor around 1.
double spread(double by) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_real_distribution<double>(1 - by, 1 + by)(random);
}

std::optional<std::uint64_t> us_of(std::chrono::nanoseconds d) {
  if (d.count() == 0) return std::nullopt;
  return static_cast<std::uint64_t>(duration_cast<std::chrono::microseconds>(d).count());
}

}  // namespace

std::chrono::sys_seconds wall_now() {
  return std::chrono::floor<seconds>(std::chrono::system_clock::now());
}

service_core::service_core(service_options o)
    : options(std::move(o)),
      remote(git_mem::remote_url::parse(options.remote)),
      loop(event_loop::current()),
      meter(loop, options.on_phase),
      started(loop.now()) {
  git_mem::prepare();
  if (!options.data_directory.empty()) data.emplace(options.data_directory);
}

void service_core::enter(std::string_view progress_phase) {
  progress = work_progress();
  progress.phase = progress_phase;
  progress.began = loop.now();
}

progress_status service_core::progress_now() const {
  progress_status p;
  if (progress.phase.empty()) return p;
  p.phase = std::string(progress.phase);
  p.objects_done = progress.done;
  p.objects_total = progress.total;
  p.bytes = progress.bytes;
  p.elapsed = duration_cast<milliseconds>(loop.now() - progress.began);
  if (p.bytes && p.elapsed.count() > 0) {
    p.bytes_per_second = *p.bytes * 1000 / static_cast<std::uint64_t>(p.elapsed.count());
  }
  return p;
}

service_status service_core::status() const {
  service_status s;
  s.version = options.version;
  s.state = state;
  s.ready = served != nullptr;
  s.remote = remote.branch.empty() ? remote.text : remote.text + "#" + remote.branch;
  s.progress = progress_now();
  const gap_report gap = meter.longest();
  s.loop.policy = loop.current_context()->when().to_string();
  s.loop.looks = loop.metrics().looks;
  s.loop.longest_gap_us = us_of(gap.wall);
  s.loop.longest_gap_cpu_us = us_of(gap.cpu);
  if (s.loop.longest_gap_us) s.loop.longest_gap_site = fermata::to_string(gap.wall_site);
  if (loop.current_context()->when().what() == policy::kind::budget) {
    s.loop.slice_us = us_of(loop.current_context()->when().slice());
  }
  if (served) {
    s.commit = served->what.commit;
    s.commit_time = served->what.commit_time;
    s.index = {served->what.index.size(), served->what.files, served->what.etag,
               served->what.notes};
  }
  s.memory = read_memory_status();
  s.error = error;
  s.uptime = duration_cast<seconds>(loop.now() - started);
  s.now = wall_now();
  return s;
}

std::chrono::seconds service_core::retry_after() const {
  milliseconds rest = least_rest;
  if (error.next_try) {
    rest = std::max(milliseconds(*error.next_try - wall_now()), milliseconds(0)) +
           std::max(least_rest, duration_cast<milliseconds>(last_try));
  } else if (const auto left = progress_now().left()) {
    rest = *left;
    if (state == service_state::cloning) {
      rest += duration_cast<milliseconds>(index_per_object * progress.total.value_or(0));
    }
  } else if (try_began != time_point()) {
    rest = std::max(rest, duration_cast<milliseconds>(loop.now() - try_began));
  }
  const auto third = std::chrono::ceil<seconds>(rest / 3);
  return std::clamp<seconds>(third, shortest_wait, longest_wait);
}

void service_core::note_failure(std::string message) {
  const std::uint64_t tries = error.tries.value_or(0) + 1;
  if (!error.since) error.since = wall_now();
  const double doubled = std::ldexp(static_cast<double>(options.first_delay.count()),
                                    static_cast<int>(std::min<std::uint64_t>(tries - 1, 30)));
  const double limit = static_cast<double>(options.longest_delay.count());
  const std::chrono::nanoseconds delay(
      std::llround(std::min(doubled, limit) * spread(options.jitter)));
  last_try = loop.now() - try_began;
  loop.log(log_level::error, "mirror",
           message + " (try " + std::to_string(tries) + ", next in " +
               std::to_string(duration_cast<milliseconds>(delay).count()) + " ms)");
  error.message = std::move(message);
  error.tries = tries;
  error.next_try = wall_now() + std::chrono::ceil<seconds>(delay);
  next_delay = delay;
}

bool service_core::ask_update() {
  const bool first = !std::exchange(update_wanted, true);
  if (wake) wake.resolve();
  return first;
}

}  // namespace fermata::mirror
