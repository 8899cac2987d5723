// SPDX-License-Identifier: MIT
/// Clones a repository into memory: receives and analyses it side by side.
///
/// Shape:    a scope of two children over a bounded channel: back-pressure reaches the server, and
///           what fails in one ends the other. Protocol 2, with 1 and 0 as fallback.
/// Pauses:   may; at most one step (about 50 us) or one piece of 64 KiB runs between two checks.
///           With `threads` the loop only receives.
/// Thread:   loop.
/// Rejects:  `failure`, which begins with `cannot clone <url>: `; `cancelled`; nothing is kept.
/// Cost:     the pack's bytes, 40 bytes an object, 4 MB of recent objects, 256 KiB of pieces.
#pragma once

#include <fermata/git_mem/analyse.hpp>
#include <fermata/git_mem/diff.hpp>
#include <fermata/git_mem/object_store.hpp>
#include <fermata/git_mem/protocol.hpp>
#include <fermata/git_mem/remote.hpp>
#include <fermata/promise/promise.hpp>
#include <fermata/promise/stream.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::git_mem {

enum class clone_phase : std::uint8_t { connect, negotiate, receive, resolve, done };

/// "connect", "negotiate", "receive", "resolve" or "done".
[[nodiscard]] std::string_view phase_name(clone_phase phase) noexcept;

struct clone_progress {
  clone_phase phase = clone_phase::connect;
  std::uint64_t objects_done = 0;
  std::uint64_t objects_total = 0;
  std::uint64_t bytes = 0;       ///< of the pack, received
  std::string_view remote_says;  ///< the server's last words, without control characters
};

/// A depth that has all history: a fetch with it completes a shallow store.
inline constexpr std::uint32_t whole_history = 0x7fffffff;

struct clone_options {
  clone_options() {}  // not an aggregate: see STYLE.md, coroutines under g++ 12

  /// Commits of history. 0: all there is; a fetch then leaves the store's history where it ends.
  std::uint32_t depth = 1;
  bool deepen_relative = false;  ///< fetch: `depth` more commits than the store has
  /// In place of `depth`: history back to this moment. A fetch moves its end there, either way.
  std::optional<std::chrono::sys_seconds> shallow_since;
  /// In place of `depth`: history without what these branches or tags of the remote reach.
  std::vector<std::string> shallow_exclude;
  /// What to bring beside the branch: all refs that begin so ("refs/heads/", "refs/tags/").
  std::vector<std::string> also;
  /// Of a partial clone, where the server makes them, in git's words: `blob:none`,
  /// `blob:limit=<n>[kmg]`, `tree:<depth>`, `object:type=<type>`, `combine:...`. What was left out
  /// is not in the store.
  std::string filter;
  pack_limits pack;
  /// Of the loop's pool that analyse the pack (analyse.hpp); 0: the loop does. The result is the
  /// same.
  std::size_t threads = 0;
  protocol_limits protocol;
  std::uint64_t most_change_bytes = git_mem::most_change_bytes;  ///< fetch: of the list it gives
  /// Until the first byte of a server that has taken the connection. Over HTTP it is
  /// `remote.http.first_byte_time`, for each request.
  std::chrono::nanoseconds first_byte_timeout = std::chrono::seconds(60);
  std::chrono::nanoseconds idle_timeout = std::chrono::seconds(120);  ///< without a byte, later
  /// At least `rate_bytes` come in each `rate_time` that we wait for them. 0: no limit.
  std::chrono::nanoseconds rate_time = std::chrono::seconds(60);
  std::uint64_t rate_bytes = 1024;
  remote_options remote;
  std::function<void(const clone_progress&)> on_progress;  ///< after every step

  /// Whether history ends at a date or a ref, and not at a depth.
  [[nodiscard]] bool has_cut() const noexcept {
    return shallow_since.has_value() || !shallow_exclude.empty();
  }
};

struct clone_result {
  clone_result() {}

  /// HEAD and what was asked for (the branch, `also`), sorted by name; the same over every version,
  /// but that HEAD has the zero id where what it stands for is not there, no branch was named and
  /// the server tells so (protocol 2).
  std::vector<reference> refs;
  /// The remote's HEAD stands for what was not asked for, or for nothing: the one in `refs` stands
  /// for `ref`, where that is no branch for its commit.
  bool has_own_head = false;
  std::string ref;  ///< what was cloned: "refs/heads/master"
  /// Zero if the repository is empty, or its HEAD names no commit and others came (`also`).
  object_id tip;
  std::vector<object_id> shallow;
  bool is_partial = false;  ///< there was a filter, or the store is partial that was fetched into
  std::unique_ptr<pack> objects;
  pack_progress progress;
  int protocol_version = 0;

  [[nodiscard]] bool is_empty() const noexcept { return tip.is_zero(); }
};

/// Clones `url`, a `remote_url`: over TCP, HTTP, or from a child (`git upload-pack`, ssh), which is
/// killed and reaped if the clone ends early.
promise<clone_result> clone(std::string url, clone_options options = {});

/// Clones over a stream that is connected to `git upload-pack`. Lifetime: `stream` outlives the
/// promise. The `daemon_request`, where one is needed, has been written.
promise<clone_result> clone_over(byte_stream& stream, remote_url url, clone_options options = {});

/// A snapshot of a clone, for `object_store::publish`.
[[nodiscard]] snapshot make_snapshot(object_store& store, clone_result result);

}  // namespace fermata::git_mem
