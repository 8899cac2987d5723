// SPDX-License-Identifier: MIT
/// All that the mirror says about itself, as values.
///
/// Shape:  nothing where a thing is not known (yet).
/// Pauses: never; a page or a JSON text takes about 50 us.
/// Thread: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::mirror {

enum class service_state : std::uint8_t { starting, cloning, indexing, ready, updating };

[[nodiscard]] std::string_view to_string(service_state state);

struct progress_status {
  std::optional<std::string> phase;  ///< "receive and analyse", "analyse", "walk", "index", ...
  std::optional<std::uint64_t> objects_done;
  std::optional<std::uint64_t> objects_total;
  std::optional<std::uint64_t> bytes;
  std::optional<std::uint64_t> bytes_per_second;
  std::chrono::milliseconds elapsed{0};  ///< in this phase; not in the JSON

  /// From 0 to 1.
  [[nodiscard]] std::optional<double> share() const;
  /// How long the phase will still take if it goes on as it went.
  [[nodiscard]] std::optional<std::chrono::milliseconds> left() const;
};

struct loop_status {
  std::string policy;
  std::uint64_t looks = 0;
  std::optional<std::uint64_t> longest_gap_us;
  std::optional<std::uint64_t> longest_gap_cpu_us;
  std::optional<std::string> longest_gap_site;
  std::optional<std::uint64_t> slice_us;  ///< what gaps are compared with; not in the JSON
};

struct index_status {
  std::optional<std::uint64_t> bytes;
  std::optional<std::uint64_t> files;
  std::optional<std::string> etag;
  std::vector<std::string> notes;  ///< files that were left out and the like; not in the JSON
};

struct memory_status {
  std::optional<std::uint64_t> rss_bytes;
  std::optional<std::uint64_t> peak_rss_bytes;
};

struct error_status {
  std::optional<std::string> message;
  std::optional<std::chrono::sys_seconds> since;
  std::optional<std::uint64_t> tries;
  std::optional<std::chrono::sys_seconds> next_try;
};

struct service_status {
  std::string version;
  service_state state = service_state::starting;
  bool ready = false;  ///< an index is served
  std::string remote;  ///< without passwords
  std::optional<std::string> commit;
  std::optional<std::chrono::sys_seconds> commit_time;
  progress_status progress;
  loop_status loop;
  index_status index;
  memory_status memory;
  error_status error;
  std::chrono::seconds uptime{0};
  std::chrono::sys_seconds now{};  ///< what ages are counted from; not in the JSON
};

/// The body of `/status.json`: one line; field names are part of the interface, null is unknown.
[[nodiscard]] std::string to_json(const service_status& status);

/// What the process uses now and used at most, as the kernel counts it.
[[nodiscard]] memory_status read_memory_status();

}  // namespace fermata::mirror
