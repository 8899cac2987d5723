// SPDX-License-Identifier: MIT
/// The mirror as a service: listens, clones, indexes, and serves one whole generation at a time.
///
/// Shape:    made, `listen`, then `run`. Before the first index data is answered with 503 and a
///           Retry-After; health and status always answer. What fails is shown, and tried again
///           with growing delays; what was served before still is. A new index replaces the old one
///           whole, and the old one is freed in slices once its last reader has it.
/// Pauses:   may; all work but file I/O of the data folder, DNS and spawning runs on the loop, in
///           steps below 300 us. `always` and `greedy` come from the loop's policy.
/// Thread:   loop.
/// Lifetime: the loop outlives the service; the service outlives the promises of `run` and
///           `shutdown`.
#pragma once

#include <fermata/git_mem/clone.hpp>
#include <fermata/http/server.hpp>
#include <fermata/loop/metrics.hpp>
#include <fermata/mirror/generation.hpp>
#include <fermata/mirror/service_status.hpp>
#include <fermata/promise/promise.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace fermata::mirror {

/// What a phase of the work has shown of the loop. Phases: `load`, `clone` (receive and analyse),
/// `walk`, `index`, `release`, `swap`, `save`.
struct phase_report {
  std::string_view phase;
  std::chrono::nanoseconds elapsed{0};
  std::uint64_t looks = 0;
  gap_report gap;  ///< the longest in this phase
};

struct service_options {
  service_options() {}  // no aggregate: see STYLE.md, coroutines under g++ 12

  std::string remote;  ///< as `git_mem::remote_url` reads it
  std::string version = "0";
  std::string data_directory;    ///< empty: nothing is kept
  git_mem::clone_options clone;  ///< depth, limits, timeouts; its hook is replaced
  http::server_options http;     ///< limits and timeouts
  std::chrono::nanoseconds first_delay = std::chrono::seconds(1);      ///< after a failure
  std::chrono::nanoseconds longest_delay = std::chrono::seconds(300);  ///< doubled up to this
  double jitter = 0.25;  ///< delays are spread by this share, both ways

  /// The end of each phase, which is also logged: `info mirror: phase finished phase=walk ...`.
  std::function<void(const phase_report&)> on_phase;
  /// A generation begins to be served.
  std::function<void(const generation&)> on_served;
};

struct service_core;

class service {
public:
  /// Pauses: may hold the thread for some ms (libraries are loaded, the data folder is locked).
  /// Throws: `git_mem::failure` for a remote that cannot be used; `error` where the data folder
  ///         cannot be made or another process holds it.
  explicit service(service_options options);
  service(const service&) = delete;
  service& operator=(const service&) = delete;
  ~service();

  /// Serves on `ADDR:PORT`; gives the address with the real port.
  /// Throws: `error` where the address cannot be had.
  std::string listen(std::string_view address);

  /// Works until it is cancelled. Rejects: `cancelled`.
  promise<> run();

  /// Asks for a new clone, at once or after the one under way. False: one was asked for already.
  bool ask_update();

  /// Ends serving: see `http::server::shutdown`.
  promise<> shutdown(std::chrono::nanoseconds patience);

  [[nodiscard]] service_status status() const;
  /// The part of it that changes all the time.
  [[nodiscard]] progress_status progress() const;
  /// What is served; null before the first index.
  [[nodiscard]] std::shared_ptr<const generation> current() const;
  [[nodiscard]] const http::server_counters& counters() const noexcept;

private:
  std::shared_ptr<service_core> core_;  // shared with the handlers
  http::server server_;
};

}  // namespace fermata::mirror
