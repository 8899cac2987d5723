// SPDX-License-Identifier: MIT
/// All that the mirror says about itself, as values.
///
/// Shape:  nothing where a thing is not known (yet).
/// Pauses: never; a page or a JSON text takes about 50 us.
/// Thread: any.
#pragma once

#include <fermata/mirror/archive_service.hpp>

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
  std::optional<std::string>
      phase;  ///< "receive and analyse", "analyse", "walk", "index", "download", ...
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

/// Downloads as progress; no phase where there were none.
[[nodiscard]] progress_status progress_of(const batch_status& batch);

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

/// What the opam files of the served commit say.
struct package_status {
  bool is_known = false;  ///< they have been read
  std::uint64_t opam_files = 0;
  std::uint64_t unavailable = 0;   ///< with `available: false`
  std::uint64_t archives = 0;      ///< that packages name, by their checksums
  std::uint64_t alternatives = 0;  ///< of them, those with several URLs
  std::uint64_t without_checksum = 0;
  std::uint64_t version_control = 0;
  std::uint64_t refused = 0;  ///< URLs that nobody can fetch
  std::uint64_t faults = 0;   ///< lines that could not be read
  // The first of each: `packages/a/a.1/opam:12:3: why`.
  std::vector<std::string> fault_list;
  std::vector<std::string> skipped_list;
  std::vector<std::string> conflict_list;  ///< checksums that contradict each other
};

struct memory_status {
  std::optional<std::uint64_t> rss_bytes;
  std::optional<std::uint64_t> peak_rss_bytes;
};

/// The folder that survives a restart, and the disk under it.
struct disk_status {
  std::optional<std::uint64_t> kept_bytes;  ///< in files of ours but archives
  std::optional<std::uint64_t> free_bytes;  ///< for us: what is reserved for root is not in it
  std::optional<std::uint64_t> total_bytes;
};

struct error_status {
  std::optional<std::string> message;
  std::optional<std::chrono::sys_seconds> since;
  std::optional<std::uint64_t> tries;
  std::optional<std::chrono::sys_seconds> next_try;
};

struct update_status {
  std::optional<std::chrono::sys_seconds> last;  ///< when upstream was last asked with success
  std::optional<std::chrono::sys_seconds> next;  ///< by itself; a failure's next try is elsewhere
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
  bool needs_secret = false;  ///< to ask for one; not in the JSON
  std::string path;           ///< where to ask; not in the JSON
};

struct request_status {
  std::uint64_t total = 0;
  std::uint64_t failures = 0;  ///< answered with 5xx
  std::uint64_t connections = 0;
  std::uint64_t refused_connections = 0;
  std::uint64_t overloaded = 0;    ///< refused with 503 over a limit
  std::uint64_t rate_limited = 0;  ///< refused with 429
  std::uint64_t sent_bytes = 0;
  std::optional<std::uint64_t> lost_log_lines;  ///< of the access log; nothing where there is none
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
  package_status packages;
  std::optional<archive_status> archives;  ///< nothing where they are off
  memory_status memory;
  disk_status disk;
  error_status error;
  update_status updates;
  request_status requests;
  std::chrono::seconds uptime{0};
  std::chrono::sys_seconds now{};  ///< what ages are counted from; not in the JSON
};

/// The body of `/status.json`: one line; field names are part of the interface, null is unknown.
[[nodiscard]] std::string to_json(const service_status& status);

/// What the process uses now and used at most, as the kernel counts it.
[[nodiscard]] memory_status read_memory_status();

}  // namespace fermata::mirror
