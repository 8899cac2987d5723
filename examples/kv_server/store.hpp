// SPDX-License-Identifier: MIT
/// A store of keys and values that answers a SET when it is on disk.
///
/// Shape:    requests wait in a channel of 120; who finds it full waits for room. What is queued is
///           taken at once: a GET is answered with what is on disk, all SETs are written and synced
///           together, off the loop, then answered. So what was answered survives a crash, and the
///           history is linearizable: a SET takes effect when its group is on disk.
/// Errors:   where a group cannot be written its SETs, and all that follow, are answered with the
///           error; whether that group will be there after a restart is open. GETs go on.
/// Pauses:   may, after each record.
/// Thread:   that of the loop on which it was made.
#pragma once

#include "record_log.hpp"

#include <fermata/promise/channel.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kv {

/// A SET, or without a value a GET.
struct request {
  std::string key;
  std::optional<std::string> value;
};

class store {
public:
  /// A commit begins `commit_delay` after its requests were taken: as a slow disk would.
  store(record_log log, values v, std::chrono::nanoseconds commit_delay)
      : log_(std::move(log)), values_(std::move(v)), commit_delay_(commit_delay) {}

  /// The line that answers `r`.
  /// Rejects: `cancelled`; a SET may then be done all the same.
  fermata::promise<std::string> ask(request r);
  /// Answers until it is cancelled.
  fermata::promise<> serve();
  /// `queued=3 waiting=0 longest_queue=120 commits=7 sets=400`
  [[nodiscard]] std::string counts() const;

private:
  struct asked {
    request what;
    fermata::resolver<std::string> answer;
  };
  void answer_at_once(asked& a) const;
  fermata::promise<> commit(std::vector<asked> group);

  record_log log_;
  values values_;
  std::chrono::nanoseconds commit_delay_;
  fermata::channel<asked> requests_{most_queued};
  std::string failure_;
  std::size_t waiting_ = 0;
  std::size_t longest_queue_ = 0;
  std::uint64_t commits_ = 0;
  std::uint64_t sets_ = 0;
};

}  // namespace kv
