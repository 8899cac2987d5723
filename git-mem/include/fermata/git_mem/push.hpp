// SPDX-License-Identifier: MIT
/// Sends a snapshot's commits to a remote, and moves its refs.
///
/// Shape:    the remote says where its refs stand. A ref that would not go forward, or stands
///           elsewhere than expected, is refused here, as git does; the others are sent, with a
///           thin pack of what the remote does not have. What the remote refuses is told per ref.
/// Pauses:   may, as `find_reachable` and `write_pack` do.
/// Thread:   loop.
/// Rejects:  `failure`, which begins with `cannot push to <url>: `, where the conversation fails or
///           the pack is refused, and where a ref is named twice; `cancelled`: the remote then has
///           taken all or nothing.
/// Cost:     of what is new for the remote; over HTTP the pack is held whole until it is sent.
#pragma once

#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/object_store.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fermata::git_mem {

/// What is to become of one ref of the remote.
struct push_command {
  push_command() {}  // no aggregate: see STYLE.md, coroutines under g++ 12
  push_command(std::string name, const object_id& id) : ref(std::move(name)), to(id) {}

  std::string ref;  ///< "refs/heads/main"
  /// Where the remote has a ref that this stands for, by git's rules ("v1", "heads/main"), it is
  /// that one in place of `ref`. Where it has several, or none and `ref` is empty, the push is
  /// rejected.
  std::string short_name;
  object_id to;        ///< zero: it is deleted
  bool force = false;  ///< also where the old commit is no ancestor of the new one
  /// Where it must stand (compare and swap): the zero id says that it must not be there.
  std::optional<object_id> expected;
};

struct push_options {
  push_options() {}

  clone_options connection;  ///< times, limits and HTTP; depth and pack are not looked at
  bool atomic = false;       ///< all refs move, or none
};

/// What came of one command.
struct pushed_ref {
  std::string ref;
  object_id before;     ///< where it stood at the remote; zero: it was not there
  object_id after;      ///< zero: deleted
  std::string refused;  ///< why nothing was changed; empty: it is done
};

struct push_result {
  push_result() {}

  std::vector<pushed_ref> refs;  ///< in the order of the commands
  std::string remote_says;       ///< by hooks, without control characters, at most 64 KiB
  std::uint64_t objects = 0;     ///< that were sent
  std::uint64_t pack_bytes = 0;

  [[nodiscard]] bool is_success() const noexcept;
};

promise<push_result> push(snapshot_ptr from,
                          std::string url,
                          std::vector<push_command> what,
                          push_options options = {});

}  // namespace fermata::git_mem
