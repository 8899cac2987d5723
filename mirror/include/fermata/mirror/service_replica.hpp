// SPDX-License-Identifier: MIT
/// The same service on a further loop, for further cores.
///
/// Shape:    `/index.tar.gz`, `/repo` and `/version` are answered here, from the generation that
///           the service's loop has made; whatever else is asked goes to that loop and comes back.
///           A new generation is here a moment after it is there. What is counted here is added
///           there once a second, and at the end.
/// Pauses:   never.
/// Thread:   that of its loop.
/// Lifetime: the service and its loop outlive the replica; the replica outlives the promises of
///           `run` and `shutdown`.
#pragma once

#include <fermata/http/server.hpp>
#include <fermata/mirror/service.hpp>
#include <fermata/promise/tcp.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace fermata::mirror {

struct replica_state;

class service_replica {
public:
  explicit service_replica(const service_link& of);
  service_replica(const service_replica&) = delete;
  service_replica& operator=(const service_replica&) = delete;
  ~service_replica();

  /// Serves what this listener accepts; for a shared port see `listen_options::reuse_port`.
  void serve(tcp_listener listener);

  /// Keeps the generation and the counts up to date until it is cancelled. Rejects: `cancelled`;
  /// `loop_closed` where the service's loop has ended.
  promise<> run();
  promise<> shutdown(std::chrono::nanoseconds patience);

private:
  std::shared_ptr<replica_state> state_;  // shared with letters that are under way
  http::server server_;
};

}  // namespace fermata::mirror
