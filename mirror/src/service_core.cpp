// SPDX-License-Identifier: MIT
// What the service says about itself.

#include "service_core.hpp"

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
      meter(loop, [this](const phase_report& r) { note_phase(r); }),
      catalogue(options.archives.allow_file),
      started(loop.now()),
      sampled(started) {
  if (!options.data_directory.empty()) data.emplace(options.data_directory);
  // Who waits for archives leaves half of the connections and requests to others.
  std::size_t& waiting = options.archives.most_waiting;
  for (const std::size_t most : {options.http.most_connections, options.http.most_requests}) {
    if (most > 0) waiting = std::min(waiting, std::max<std::size_t>(most / 2, 1));
  }
  if (!options.archives.folder.empty()) archives.emplace(options.archives, catalogue);
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
  s.packages = packages;
  if (archives) s.archives = archives->status();
  s.memory = read_memory_status();
  s.disk = disk;
  s.error = error;
  s.updates = {
      last_update,        next_update, updates_done, updates_failed, !options.update_secret.empty(),
      options.update_path};
  s.requests.total = requests.requests();
  s.requests.failures = requests.failures();
  const http::server_counters counted = server_counters();
  s.requests.connections = counted.active_connections;
  s.requests.refused_connections = counted.refused_connections;
  s.requests.overloaded = counted.overloaded;
  s.requests.rate_limited = counted.rate_limited;
  s.requests.sent_bytes = counted.sent_bytes;
  if (options.lost_log_lines) s.requests.lost_log_lines = options.lost_log_lines();
  s.uptime = duration_cast<seconds>(loop.now() - started);
  s.now = wall_now();
  return s;
}

http::server_counters service_core::server_counters() const {
  http::server_counters all;
  if (server != nullptr) all = *server;
  for (const auto& r : replicas) {
    const http::server_counters& one = r->counters;
    all.connections += one.connections;
    all.refused_connections += one.refused_connections;
    all.active_connections += one.active_connections;
    all.requests += one.requests;
    for (std::size_t i = 0; i < all.responses.size(); ++i) all.responses[i] += one.responses[i];
    all.active_requests += one.active_requests;
    all.overloaded += one.overloaded;
    all.rate_limited += one.rate_limited;
    all.malformed += one.malformed;
    all.timeouts += one.timeouts;
    all.abandoned += one.abandoned;
    all.handler_failures += one.handler_failures;
    all.accept_failures += one.accept_failures;
    all.received_bytes += one.received_bytes;
    all.sent_bytes += one.sent_bytes;
  }
  return all;
}

void service_core::note_phase(const phase_report& r) {
  phase_times& times = phases[std::string(r.phase)];
  times.elapsed.record(r.elapsed);
  times.longest_gap = std::max(times.longest_gap, r.gap.wall);
  if (options.on_phase) options.on_phase(r);
}

void service_core::take_sample() {
  const time_point now = loop.now();
  sample s;
  s.end = wall_now();
  s.length = duration_cast<milliseconds>(now - std::exchange(sampled, now));
  s.requests = requests.requests() - std::exchange(sampled_requests, requests.requests());
  s.failures = requests.failures() - std::exchange(sampled_failures, requests.failures());
  const std::uint64_t sent = server_counters().sent_bytes;
  s.sent_bytes = sent - std::exchange(sampled_bytes, sent);
  const histogram recent = requests.take_recent();
  s.latency_p50 = recent.quantile(0.5);
  s.latency_p99 = recent.quantile(0.99);
  s.longest_gap = meter.take_recent();
  s.rss_bytes = read_memory_status().rss_bytes.value_or(0);
  past.add(s);
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
  ++updates_failed;
  loop.log(log_level::error, "mirror",
           message + " (try " + std::to_string(tries) + ", next in " +
               std::to_string(duration_cast<milliseconds>(delay).count()) + " ms)");
  error.message = std::move(message);
  error.tries = tries;
  error.next_try = wall_now() + std::chrono::ceil<seconds>(delay);
  next_delay = delay;
}

void service_core::announce() const {
  if (options.on_served) options.on_served(served->what);
}

std::chrono::nanoseconds service_core::plan_update() {
  const auto interval = static_cast<double>(options.update_interval.count());
  const std::chrono::nanoseconds delay(std::llround(interval * spread(options.jitter)));
  if (delay.count() > 0) next_update = wall_now() + std::chrono::ceil<seconds>(delay);
  return delay;
}

std::chrono::nanoseconds service_core::pause_left() const {
  return std::max(try_began + options.update_pause - loop.now(), std::chrono::nanoseconds(0));
}

bool service_core::ask_update() {
  const bool first = !std::exchange(update_wanted, true);
  if (wake) wake.resolve();
  return first;
}

}  // namespace fermata::mirror
