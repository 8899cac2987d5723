// SPDX-License-Identifier: MIT
/// What the parts of the service share: the state that handlers show and the work changes.
///
/// Thread: loop.
#pragma once

#include "phase_meter.hpp"
#include "served.hpp"

#include <fermata/http/router.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/mirror/data_directory.hpp>
#include <fermata/mirror/service.hpp>

#include <memory>
#include <optional>
#include <string>

namespace fermata::mirror {

/// What is under way, as the work leaves it: cheap to change, made into words when asked for.
struct work_progress {
  std::string_view phase;  ///< a literal; empty: nothing is under way
  time_point began{};      ///< of the phase
  std::optional<std::uint64_t> done;
  std::optional<std::uint64_t> total;
  std::optional<std::uint64_t> bytes;
};

struct service_core {
  explicit service_core(service_options o);

  void enter(std::string_view progress_phase);
  [[nodiscard]] service_status status() const;
  [[nodiscard]] progress_status progress_now() const;
  /// What `Retry-After` should say: curl tries three times.
  [[nodiscard]] std::chrono::seconds retry_after() const;
  void note_failure(std::string message);
  bool ask_update();

  service_options options;
  git_mem::remote_url remote;
  event_loop& loop;
  std::optional<data_directory> data;
  phase_meter meter;
  std::shared_ptr<graveyard> yard = std::make_shared<graveyard>();
  served_ptr served;
  service_state state = service_state::starting;
  work_progress progress;
  error_status error;
  time_point started;
  time_point try_began{};
  std::chrono::nanoseconds last_try{0};    ///< how long it took
  std::chrono::nanoseconds next_delay{0};  ///< until the next
  std::string address;                     ///< where we listen, for pages
  bool update_wanted = false;
  resolver<> wake;  ///< of who waits for a reason to work
};

[[nodiscard]] std::chrono::sys_seconds wall_now();

/// Clones, and builds what is to be served; null where that is served already.
/// Rejects: `git_mem::failure`; `cancelled`. What was used is freed, in slices unless cancelled.
promise<std::unique_ptr<generation>> make_generation(service_core& core);

/// Makes a generation the one that is served.
promise<> swap_in(service_core& core, std::unique_ptr<generation> fresh);

/// The service's work, until it is cancelled.
promise<> keep_fresh(std::shared_ptr<service_core> core);

/// What is at which path.
[[nodiscard]] http::router make_routes(const std::shared_ptr<service_core>& core);

}  // namespace fermata::mirror
