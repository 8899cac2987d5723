// SPDX-License-Identifier: MIT
/// Threads that serve the same service, a loop each.
///
/// Thread: that of the service's loop.
#pragma once

#include <fermata/mirror/service_replica.hpp>
#include <fermata/promise/loop_thread.hpp>
#include <fermata/promise/unique_fd.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace fermata::mirror {

class further_loops {
public:
  /// `options` is of each loop; its log is called on their threads.
  further_loops(std::size_t count, const policy& when, const log_sink& log);

  /// Each listens at `addresses`, which share their ports, and at copies of `sockets`.
  /// Throws: `error` where a socket cannot be copied. Lifetime: `s` outlives `shutdown`.
  void serve(const service& s,
             const std::vector<std::string>& addresses,
             const std::vector<int>& sockets,
             std::chrono::nanoseconds drain_time);
  /// A promise of each loop, which settles before `shutdown` only where it fails.
  [[nodiscard]] const std::vector<promise<>>& parts() const noexcept { return serving_; }
  /// Ends what was begun, gracefully. Rejects: with what ended a loop before.
  promise<> shutdown();

private:
  std::vector<std::unique_ptr<loop_thread>> threads_;
  std::vector<promise<>> serving_;
};

}  // namespace fermata::mirror
