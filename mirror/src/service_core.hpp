// SPDX-License-Identifier: MIT
/// What the parts of the service share: the state that handlers show and the work changes.
///
/// Thread: loop.
#pragma once

#include "kept_index.hpp"
#include "metrics_text.hpp"
#include "phase_meter.hpp"
#include "request_meter.hpp"
#include "served.hpp"
#include "update_hook.hpp"

#include <fermata/git_mem/object_store.hpp>
#include <fermata/http/router.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/mirror/archive_catalogue.hpp>
#include <fermata/mirror/data_directory.hpp>
#include <fermata/mirror/history.hpp>
#include <fermata/mirror/pages.hpp>
#include <fermata/mirror/service.hpp>
#include <fermata/mirror/service_replica.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fermata::mirror {

/// What is under way, as the work leaves it: cheap to change, made into words when asked for.
struct work_progress {
  std::string_view phase;  ///< a literal; empty: nothing is under way
  time_point began{};      ///< of the phase
  std::optional<std::uint64_t> done;
  std::optional<std::uint64_t> total;
  std::optional<std::uint64_t> bytes;
};

/// A replica as the service's loop knows it.
struct replica_line {
  mailbox_ptr to;
  std::weak_ptr<replica_state> state;  ///< touched on the replica's loop alone
  http::server_counters counters;      ///< as it told them last
};

/// Sends a generation over. What cannot be sent belongs to a loop that has ended.
void publish(const replica_line& to, const served_ptr& what);

struct service_core {
  explicit service_core(service_options o);

  void enter(std::string_view progress_phase);
  [[nodiscard]] service_status status() const;
  [[nodiscard]] progress_status progress_now() const;
  /// Adds what was measured since the last sample to `past`.
  void take_sample();
  /// What `Retry-After` should say: curl tries three times.
  [[nodiscard]] std::chrono::seconds retry_after() const;
  void note_failure(std::string message);
  void warn(const std::string& text) const { loop.log(log_level::warn, "mirror", text); }
  /// Tells who wanted to know that what is served is another.
  void announce() const;
  /// Of all loops.
  [[nodiscard]] http::server_counters server_counters() const;
  void note_phase(const phase_report& r);
  bool ask_update();
  /// Until the update that comes by itself after a success; 0: none does. Notes when that is.
  std::chrono::nanoseconds plan_update();
  /// Until an update that is asked for may begin.
  [[nodiscard]] std::chrono::nanoseconds pause_left() const;

  service_options options;
  git_mem::remote_url remote;
  event_loop& loop;
  std::optional<data_directory> data;
  phase_meter meter;
  std::shared_ptr<graveyard> yard = std::make_shared<graveyard>();
  git_mem::object_store store;  ///< the repository as it was fetched last
  bool is_store_sound = false;  ///< a fetch may build on it
  git_mem::snapshot_ptr shown;  ///< what git clones: refs whose objects are there; may be null
  bool is_store_saved = true;   ///< as it is now
  std::unique_ptr<kept_index> kept;
  std::unique_ptr<kept_index> recalled;     ///< after a restart, until `kept`: files alone
  archive_catalogue catalogue;              ///< of `kept`'s files, or of these
  std::optional<archive_service> archives;  ///< none: they are off
  package_status packages;
  served_ptr served;
  service_state state = service_state::starting;
  work_progress progress;
  error_status error;
  disk_status disk;  ///< as it was at the last sample
  time_point started;
  time_point try_began{};
  std::chrono::nanoseconds last_try{0};    ///< how long it took
  std::chrono::nanoseconds next_delay{0};  ///< until the next
  std::string address;                     ///< where we listen, for pages
  bool update_wanted = false;
  std::optional<std::chrono::sys_seconds> next_update;  ///< by itself, after a success
  std::optional<std::chrono::sys_seconds> last_update;  ///< the end of the last success
  hook_budget hooks;
  std::uint64_t updates_done = 0;
  std::uint64_t updates_failed = 0;

  request_meter requests;
  phase_table phases;
  history past;
  time_point sampled{};
  std::uint64_t sampled_requests = 0;
  std::uint64_t sampled_failures = 0;
  std::uint64_t sampled_bytes = 0;
  const http::server_counters* server = nullptr;  ///< null until the service is made
  std::vector<std::shared_ptr<replica_line>> replicas;
  int viewers = 0;  ///< of the live status page
  bool is_ending = false;
  resolver<> wake;  ///< of who waits for a reason to work
};

[[nodiscard]] std::chrono::sys_seconds wall_now();

/// A generation, and what the next one can be built on.
struct made_generation {
  made_generation() = default;
  made_generation(made_generation&&) noexcept = default;
  made_generation& operator=(made_generation&&) noexcept = default;
  std::unique_ptr<generation> what;  ///< null: it is served already
  std::unique_ptr<kept_index> kept;
};

/// Clones, and builds what is to be served.
/// Rejects: `git_mem::failure`; `cancelled`. What was used is freed, in slices.
promise<made_generation> make_generation(service_core& core);

/// Makes a generation the one that is served.
promise<> swap_in(service_core& core, made_generation fresh);

/// Lists the files of the folder `into.packages`.
promise<> walk_all(service_core& core, git_mem::snapshot_ptr from, kept_index& into);

/// Reads the opam files among `files`, of the repository as it is now, as far as they are not
/// known, and tells the archives. One that cannot be read stops nothing: it is shown.
promise<> read_catalogue(service_core& core, const file_list& files);

/// Lets git clone what the repository has now.
promise<> show_store(service_core& core);

/// Serves what was kept, and then learns what is behind it. Nothing of it fails.
promise<> load_saved(service_core& core);
promise<> drop_recalled(service_core& core);

/// The service's work, until it is cancelled.
promise<> keep_fresh(std::shared_ptr<service_core> core);

/// Answers what is at which path, and counts.
[[nodiscard]] http::handler make_handler(const std::shared_ptr<service_core>& core);

}  // namespace fermata::mirror
