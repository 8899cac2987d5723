// SPDX-License-Identifier: MIT
/// The mirror as a service: listens, clones, indexes, and serves one whole generation at a time.
///
/// Shape:    made, `listen` or `handler`, then `run`. Before the first index data is answered with
///           503 and a Retry-After; health and status always answer. What fails is shown, and tried
///           again with growing delays; what was served before still is. A new index replaces the
///           old one whole, and the old one is freed in slices once its last reader has it.
/// Pauses:   may; all work but file I/O of the data folder, DNS and spawning runs on the loop, in
///           steps below 300 us. `always` and `greedy` come from the loop's policy.
/// Thread:   loop.
/// Lifetime: the loop outlives the service; the service outlives the promises of `run` and
///           `shutdown`.
#pragma once

#include <fermata/git_mem/clone.hpp>
#include <fermata/http/server.hpp>
#include <fermata/loop/metrics.hpp>
#include <fermata/mirror/archive_service.hpp>
#include <fermata/mirror/generation.hpp>
#include <fermata/mirror/service_status.hpp>
#include <fermata/promise/promise.hpp>
#include <fermata/promise/tcp.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::mirror {

/// What a phase of the work has shown of the loop. Phases: `load`, `restore`, `clone` (receive and
/// analyse), `fetch`, `walk`, `index`, `release`, `swap`, `read` (opam files), `save`.
struct phase_report {
  std::string_view phase;
  std::chrono::nanoseconds elapsed{0};
  std::chrono::nanoseconds cpu{0};  ///< of the loop's thread; what was served meanwhile is in it
  std::uint64_t looks = 0;
  gap_report gap;  ///< the longest in this phase
};

struct service_options {
  service_options() {}  // no aggregate: see STYLE.md, coroutines under g++ 12

  std::string remote;  ///< as `git_mem::remote_url` reads it
  std::string version = "0";
  std::string data_directory;                ///< empty: nothing is kept
  std::vector<std::string> archive_mirrors;  ///< further ones that clients are told of, in `repo`
  archive_options archives;                  ///< off where it has no folder
  git_mem::clone_options clone;              ///< depth, limits, timeouts; its hook is replaced
  /// That add a pack each, which look-ups pass; then what is still needed becomes one pack.
  std::size_t most_fetches = 50;
  bool serve_git = true;      ///< `git clone http://.../repository.git`
  http::server_options http;  ///< limits and timeouts
  std::chrono::nanoseconds first_delay = std::chrono::seconds(1);      ///< after a failure
  std::chrono::nanoseconds longest_delay = std::chrono::seconds(300);  ///< doubled up to this
  double jitter = 0.25;  ///< interval and delays are spread by this share, both ways
  std::chrono::nanoseconds update_interval{0};  ///< after a success; 0: only when asked
  std::chrono::nanoseconds update_pause{0};     ///< least time from one try's begin to the next's
  /// For a whole try: it is then cancelled and counts as a failure.
  std::chrono::nanoseconds update_time = std::chrono::minutes(30);
  std::string update_path = "/update";  ///< where POST asks for an update; none of ours
  /// Who asks must show that they know it: as `Authorization: Bearer SECRET`, as `X-Update-Secret`,
  /// or by the signature of GitHub (`X-Hub-Signature-256`) or Gitea (`X-Gitea-Signature`) over the
  /// body. Empty: anybody may ask.
  std::string update_secret;

  /// `https://opam.example.org`: where pages tell people to find this; empty: by the Host field.
  std::string public_url;

  /// Lines that an access log of the caller's has lost, to be shown; none: there is no log.
  std::function<std::uint64_t()> lost_log_lines;
  /// The end of each phase, which is also logged: `info mirror: phase finished phase=walk ...`.
  std::function<void(const phase_report&)> on_phase;
  /// A generation begins to be served.
  std::function<void(const generation&)> on_served;
};

struct service_core;

/// What a replica needs to know of a service; it may be given to another thread.
struct service_link {
  mailbox_ptr home;                    ///< of the service's loop
  std::shared_ptr<service_core> core;  ///< touched there alone
};

class service {
public:
  /// Pauses: may hold the thread for some ms (libraries are loaded, the data folder is locked).
  /// Throws: `git_mem::failure` for a remote that cannot be used; `error` where the data folder
  ///         cannot be made or another process holds it; `contract_error` for an update path that
  ///         the mirror serves itself.
  explicit service(service_options options);
  service(const service&) = delete;
  service& operator=(const service&) = delete;
  ~service();

  /// Serves on `ADDR:PORT`; gives the address with the real port.
  /// Throws: `error` where the address cannot be had.
  std::string listen(std::string_view address);

  /// Serves what this listener accepts.
  void serve(tcp_listener listener);

  /// For `service_replica`.
  [[nodiscard]] service_link link() const;

  /// All that the service serves, for a server of the caller's: then `listen` is not needed.
  /// Lifetime: it may be kept; it answers from the service's state, also after the service.
  [[nodiscard]] http::handler handler() const;

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
  /// What is known of the archives; nothing where they are off.
  [[nodiscard]] std::optional<archive_status> archives() const;
  /// The part of that which changes all the time.
  [[nodiscard]] std::optional<batch_status> downloads() const;
  [[nodiscard]] const http::server_counters& counters() const noexcept;

private:
  std::shared_ptr<service_core> core_;  // shared with the handlers
  http::server server_;
};

}  // namespace fermata::mirror
