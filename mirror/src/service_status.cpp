// SPDX-License-Identifier: MIT
// The JSON keeps the order of its fields, for people who read it with curl.

#include "text.hpp"

#include <fermata/mirror/service_status.hpp>

#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace fermata::mirror {
namespace {

using json = nlohmann::ordered_json;

template <typename T>
json or_null(const std::optional<T>& value) {
  return value.has_value() ? json(*value) : json(nullptr);
}
json or_null(const std::optional<std::chrono::sys_seconds>& value) {
  return value.has_value() ? json(iso_time(*value)) : json(nullptr);
}

json archive_json(const std::optional<archive_status>& a) {
  if (!a) return nullptr;
  return {{"open", a->is_open}, {"fault", a->fault.empty() ? json() : json(a->fault)}};
}

json package_json(const package_status& p) {
  if (!p.is_known) return nullptr;
  return {{"opam_files", p.opam_files},
          {"unavailable", p.unavailable},
          {"archives", p.archives},
          {"alternatives", p.alternatives},
          {"without_checksum", p.without_checksum},
          {"version_control", p.version_control},
          {"refused", p.refused},
          {"faults", p.faults},
          {"fault_list", p.fault_list},
          {"conflict_list", p.conflict_list}};
}

}  // namespace

std::string_view to_string(service_state state) {
  switch (state) {
    case service_state::starting:
      return "starting";
    case service_state::cloning:
      return "cloning";
    case service_state::indexing:
      return "indexing";
    case service_state::ready:
      return "ready";
    case service_state::updating:
      return "updating";
  }
  return "unknown";
}

std::optional<double> progress_status::share() const {
  if (!objects_done || !objects_total || *objects_total == 0) return std::nullopt;
  return std::min(1.0, static_cast<double>(*objects_done) / static_cast<double>(*objects_total));
}

std::optional<std::chrono::milliseconds> progress_status::left() const {
  const auto done = share();
  if (!done || *done <= 0) return std::nullopt;
  const double passed = static_cast<double>(elapsed.count());
  return std::chrono::milliseconds(static_cast<std::int64_t>(passed * (1 - *done) / *done));
}

progress_status progress_of(const batch_status& b) {
  progress_status p;
  if (b.total == 0) return p;
  p.phase = "download";
  p.objects_done = b.done;
  p.objects_total = b.total;
  p.bytes = b.bytes;
  p.elapsed = b.elapsed;
  if (b.elapsed.count() > 0) {
    p.bytes_per_second = b.bytes * 1000 / static_cast<std::uint64_t>(b.elapsed.count());
  }
  return p;
}

std::string to_json(const service_status& s) {
  json out;
  out["version"] = s.version;
  out["state"] = to_string(s.state);
  out["ready"] = s.ready;
  out["remote"] = s.remote;
  out["commit"] = or_null(s.commit);
  out["commit_time"] = or_null(s.commit_time);
  out["progress"] = {{"phase", or_null(s.progress.phase)},
                     {"objects_done", or_null(s.progress.objects_done)},
                     {"objects_total", or_null(s.progress.objects_total)},
                     {"bytes", or_null(s.progress.bytes)},
                     {"bytes_per_second", or_null(s.progress.bytes_per_second)}};
  out["loop"] = {{"policy", s.loop.policy},
                 {"looks", s.loop.looks},
                 {"longest_gap_us", or_null(s.loop.longest_gap_us)},
                 {"longest_gap_cpu_us", or_null(s.loop.longest_gap_cpu_us)},
                 {"longest_gap_site", or_null(s.loop.longest_gap_site)}};
  out["index"] = {{"bytes", or_null(s.index.bytes)},
                  {"files", or_null(s.index.files)},
                  {"etag", or_null(s.index.etag)}};
  out["packages"] = package_json(s.packages);
  out["archives"] = archive_json(s.archives);
  out["memory"] = {{"rss_bytes", or_null(s.memory.rss_bytes)},
                   {"peak_rss_bytes", or_null(s.memory.peak_rss_bytes)}};
  out["disk"] = {{"kept_bytes", or_null(s.disk.kept_bytes)},
                 {"free_bytes", or_null(s.disk.free_bytes)},
                 {"total_bytes", or_null(s.disk.total_bytes)}};
  out["error"] = {{"message", or_null(s.error.message)},
                  {"since", or_null(s.error.since)},
                  {"tries", or_null(s.error.tries)},
                  {"next_try", or_null(s.error.next_try)}};
  out["updates"] = {{"last", or_null(s.updates.last)},
                    {"next", or_null(s.updates.next)},
                    {"done", s.updates.done},
                    {"failed", s.updates.failed}};
  out["requests"] = {{"total", s.requests.total},
                     {"failures", s.requests.failures},
                     {"connections", s.requests.connections},
                     {"refused_connections", s.requests.refused_connections},
                     {"overloaded", s.requests.overloaded},
                     {"rate_limited", s.requests.rate_limited},
                     {"sent_bytes", s.requests.sent_bytes},
                     {"lost_log_lines", or_null(s.requests.lost_log_lines)}};
  out["uptime_s"] = s.uptime.count();
  // What a remote says may be no UTF-8: such bytes become U+FFFD.
  return out.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

memory_status read_memory_status() {
  memory_status memory;
  if (std::FILE* file = std::fopen("/proc/self/statm", "re"); file != nullptr) {
    unsigned long total = 0;
    unsigned long resident = 0;
    if (std::fscanf(file, "%lu %lu", &total, &resident) == 2) {
      memory.rss_bytes = resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    }
    std::fclose(file);
  }
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    memory.peak_rss_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  }
  if (memory.rss_bytes && memory.peak_rss_bytes) {  // the kernel counts the two apart
    memory.peak_rss_bytes = std::max(*memory.peak_rss_bytes, *memory.rss_bytes);
  }
  return memory;
}

}  // namespace fermata::mirror
