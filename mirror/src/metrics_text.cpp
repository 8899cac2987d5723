// SPDX-License-Identifier: MIT
#include "metrics_text.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace fermata::mirror {
namespace {

// Ends of the buckets of latencies, in seconds.
constexpr std::array<double, 12> buckets{0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003,
                                         0.01,    0.03,    0.1,    0.3,    1,     10};

class writer {
public:
  void head(std::string_view name, std::string_view type, std::string_view help) {
    text += fmt::format("# HELP fermata_{0} {2}\n# TYPE fermata_{0} {1}\n", name, type, help);
  }
  template <typename Number>
  void value(std::string_view name, std::string_view labels, Number n) {
    text += fmt::format("fermata_{}{}{}{} {}\n", name, labels.empty() ? "" : "{", labels,
                        labels.empty() ? "" : "}", n);
  }
  template <typename Number>
  void single(std::string_view name, std::string_view type, std::string_view help, Number n) {
    head(name, type, help);
    value(name, "", n);
  }
  template <typename Number>
  void optional(std::string_view name, std::string_view help, const std::optional<Number>& n) {
    if (n) single(name, "gauge", help, *n);
  }
  void buckets_of(std::string_view name, std::string_view label, const histogram& h) {
    const std::string bucket = std::string(name) + "_bucket";
    for (const double end : buckets) {
      const auto ns = std::chrono::nanoseconds(static_cast<std::int64_t>(end * 1e9));
      value(bucket, fmt::format("{},le=\"{}\"", label, end), h.count_up_to(ns));
    }
    value(bucket, fmt::format("{},le=\"+Inf\"", label), h.count());
    value(std::string(name) + "_sum", label, static_cast<double>(h.sum().count()) / 1e9);
    value(std::string(name) + "_count", label, h.count());
  }

  std::string text;
};

// As a label's value may hold it.
std::string label_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string labels_of(endpoint e) { return fmt::format("endpoint=\"{}\"", to_string(e)); }

void write_requests(writer& w, const request_meter& requests) {
  w.head("http_requests_total", "counter", "Answered requests by endpoint and class of status.");
  for (std::size_t i = 0; i < endpoints; ++i) {
    const auto e = static_cast<endpoint>(i);
    for (std::size_t c = 1; c < 6; ++c) {
      const std::uint64_t n = requests.of(e).responses[c];
      if (n == 0 && c != 2) continue;
      w.value("http_requests_total", fmt::format("{},code=\"{}xx\"", labels_of(e), c), n);
    }
  }
  w.head("http_request_duration_seconds", "histogram", "Time until an answer was there.");
  for (std::size_t i = 0; i < endpoints; ++i) {
    const auto e = static_cast<endpoint>(i);
    if (requests.of(e).latency.count() == 0) continue;
    w.buckets_of("http_request_duration_seconds", labels_of(e), requests.of(e).latency);
  }
}

void write_server(writer& w, const http::server_counters& c) {
  w.single("http_connections", "gauge", "Open connections.", c.active_connections);
  w.single("http_connections_total", "counter", "Accepted connections.", c.connections);
  w.single("http_connections_refused_total", "counter", "Connections over the limit.",
           c.refused_connections);
  w.single("http_requests_active", "gauge", "Requests under way.", c.active_requests);
  w.single("http_overloaded_total", "counter", "Requests refused with 503 over a limit.",
           c.overloaded);
  w.single("http_rate_limited_total", "counter", "Requests refused with 429.", c.rate_limited);
  w.single("http_malformed_total", "counter", "Requests that were refused as malformed.",
           c.malformed);
  w.single("http_timeouts_total", "counter", "Clients that were too slow.", c.timeouts);
  w.single("http_abandoned_total", "counter", "Clients that left before there was an answer.",
           c.abandoned);
  w.single("http_handler_failures_total", "counter", "Requests that failed in a handler.",
           c.handler_failures);
  w.single("http_received_bytes_total", "counter", "Bytes from clients.", c.received_bytes);
  w.single("http_sent_bytes_total", "counter", "Bytes to clients.", c.sent_bytes);
}

double unix_seconds(std::chrono::sys_seconds t) {
  return static_cast<double>(t.time_since_epoch().count());
}

void write_state(writer& w, const service_status& s) {
  w.head("mirror_info", "gauge", "The version; always 1.");
  w.value("mirror_info", fmt::format("version=\"{}\"", s.version), 1);
  w.single("mirror_ready", "gauge", "1 when an index is served.", s.ready ? 1 : 0);
  w.head("mirror_state", "gauge", "1 for the state that is.");
  for (const service_state state :
       {service_state::starting, service_state::cloning, service_state::indexing,
        service_state::ready, service_state::updating}) {
    w.value("mirror_state", fmt::format("state=\"{}\"", to_string(state)),
            s.state == state ? 1 : 0);
  }
  w.single("mirror_updates_total", "counter", "Updates that succeeded.", s.updates.done);
  w.single("mirror_update_failures_total", "counter", "Updates that failed.", s.updates.failed);
  w.single("mirror_update_failures_in_a_row", "gauge", "Failures since the last success.",
           s.error.tries.value_or(0));
  if (s.updates.last) {
    w.single("mirror_last_update_timestamp_seconds", "gauge", "The last success.",
             unix_seconds(*s.updates.last));
  }
  if (s.commit_time) {
    w.single("mirror_commit_timestamp_seconds", "gauge", "Of the commit that is served.",
             unix_seconds(*s.commit_time));
  }
  w.optional("mirror_index_bytes", "Size of index.tar.gz.", s.index.bytes);
  w.optional("mirror_index_files", "Files in index.tar.gz.", s.index.files);
  if (s.packages.is_known) {
    w.single("mirror_opam_files", "gauge", "Opam files of the commit.", s.packages.opam_files);
    w.single("mirror_opam_faults", "gauge", "Lines of them that cannot be read.",
             s.packages.faults);
    w.single("mirror_archives_named", "gauge", "Archives that packages name.", s.packages.archives);
  }
  w.optional("process_resident_memory_bytes", "Memory that is used.", s.memory.rss_bytes);
  w.optional("process_peak_resident_memory_bytes", "Memory that was used at most.",
             s.memory.peak_rss_bytes);
  w.optional("mirror_data_bytes", "What is kept on disk, but archives.", s.disk.kept_bytes);
  w.optional("mirror_disk_free_bytes", "Free on the disk of the data folder.", s.disk.free_bytes);
  w.optional("mirror_disk_size_bytes", "Size of the disk of the data folder.", s.disk.total_bytes);
  if (s.requests.lost_log_lines) {
    w.single("mirror_access_log_lost_lines_total", "counter",
             "Lines that the access log had no room for.", *s.requests.lost_log_lines);
  }
  w.single("mirror_uptime_seconds", "gauge", "Since the start.", s.uptime.count());
}

void write_archives(writer& w, const archive_status& a) {
  w.single("mirror_archives_open", "gauge", "1 when the store of archives has been opened.",
           a.is_open ? 1 : 0);
  w.single("mirror_archives_present", "gauge", "Archives that packages name and that are here.",
           a.present);
  w.single("mirror_archives_waiting", "gauge", "Archives that wait to be fetched.", a.waiting);
  w.single("mirror_archives_failed", "gauge", "Archives whose last download failed.", a.failed);
  w.single("mirror_archives_without_room", "gauge", "Of them, those that wait for room.",
           a.without_room);
  w.single("mirror_archives_full_for_seconds", "gauge",
           "How long no download begins by itself because the disk is full.", a.full_for.count());
  w.head("mirror_archive_failures", "gauge", "Of them by reason.");
  for (const failure_group& g : a.failures) {
    w.value("mirror_archive_failures", fmt::format("reason=\"{}\"", label_text(g.reason)), g.count);
  }
  w.single("mirror_archives_active", "gauge", "Downloads under way.", a.active.size());
  w.single("mirror_archives_stored", "gauge", "Archives in the store.", a.store.archives);
  w.single("mirror_archives_stored_bytes", "gauge", "Bytes of them.", a.store.bytes);
  w.single("mirror_archives_damaged_total", "counter", "Archives found damaged.", a.store.damaged);
  w.single("mirror_archives_downloaded_total", "counter", "Downloads that succeeded.",
           a.downloaded);
  w.single("mirror_archives_downloaded_bytes_total", "counter", "Bytes of them.",
           a.downloaded_bytes);
  w.single("mirror_archives_hits_total", "counter", "Requests for archives that were here.",
           a.hits);
  w.single("mirror_archives_fetched_total", "counter", "Requests that waited for a download.",
           a.fetched);
  w.single("mirror_archives_misses_total", "counter", "Requests that were answered with 404.",
           a.misses);
  w.single("mirror_archives_refused_total", "counter",
           "Requests that were answered with 503 because too many waited.", a.refused);
}

void write_phases(writer& w, const phase_table& phases) {
  if (phases.empty()) return;
  w.head("mirror_phase_duration_seconds", "histogram", "How long the phases of updates took.");
  for (const auto& [phase, times] : phases) {
    w.buckets_of("mirror_phase_duration_seconds", fmt::format("phase=\"{}\"", phase),
                 times.elapsed);
  }
  w.head("mirror_phase_longest_gap_seconds", "gauge",
         "The longest time between two looks for waiting clients, by phase.");
  for (const auto& [phase, times] : phases) {
    w.value("mirror_phase_longest_gap_seconds", fmt::format("phase=\"{}\"", phase),
            static_cast<double>(times.longest_gap.count()) / 1e9);
  }
}

}  // namespace

std::string metrics_text(const service_status& status,
                         const request_meter& requests,
                         const phase_table& phases,
                         const http::server_counters& server,
                         const loop_metrics& loop) {
  writer w;
  write_state(w, status);
  write_requests(w, requests);
  write_server(w, server);
  if (status.archives) write_archives(w, *status.archives);
  write_phases(w, phases);
  return w.text + to_prometheus(loop, "fermata");
}

}  // namespace fermata::mirror
