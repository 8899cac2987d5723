// SPDX-License-Identifier: MIT
/// Brings a store up to date with a remote: what it has is not received again.
///
/// Shape:    tells the remote what the store has, the newest commits first, in as many rounds as it
///           takes (protocol 2; older servers get one). The pack that comes may be thin; it is kept
///           as it came, before the packs that are there already. What the new tip needs is
///           checked, then all is published as a new snapshot. An empty store is filled as by
///           `clone`.
/// Refs:     what was asked for (HEAD, the branch, all that begin as `also` says) becomes as it is
///           there, and goes where it has gone there; all other refs of the store stay, also those
///           that the remote has by the same name. HEAD stays where the branch was named and the
///           store has what HEAD stands for. A remote without commits changes nothing.
/// Pauses:   may, as `clone` does.
/// Thread:   loop. Nobody else may publish in `store` until the promise settles.
/// Rejects:  `failure`, which begins with `cannot fetch <url>: ` (reason::not_found also where the
///           branch has vanished, reason::conflict where `a/b` would come beside `a`); `cancelled`;
///           `store` is then as before.
/// Cost:     of what is new; each fetch that brings something adds a pack, which every look-up of
///           an object that is not in it passes: `compact` now and then.
/// Lifetime: `store` outlives the promise.
#pragma once

#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/diff.hpp>
#include <fermata/git_mem/object_store.hpp>

#include <string>
#include <vector>

namespace fermata::git_mem {

/// What became of the branch that was asked for.
enum class ref_move : std::uint8_t {
  none,       ///< it stands where it stood
  created,    ///< the store had nothing of it
  forward,    ///< the old commit is an ancestor of the new one
  rewritten,  ///< it is not: somebody pushed by force
  unknown,    ///< the history that the store has is too short to tell
};

/// A ref that was asked for and is not as the store had it.
struct ref_update {
  std::string name;
  object_id before;  ///< zero where it is new
  object_id after;   ///< zero where it has vanished
};

struct fetch_result {
  fetch_result() {}  // no aggregate: see STYLE.md, coroutines under g++ 12

  /// Of the branch. Zero if the remote is empty, and the store is as it was; or its HEAD names no
  /// commit and others came (`also`).
  object_id tip;
  std::string ref;       ///< "refs/heads/master"
  bool has_new = false;  ///< a pack came
  object_id old_tip;     ///< where `ref` stood; zero where the store had nothing of it
  ref_move move = ref_move::none;
  std::vector<ref_update> refs;      ///< by name, of all that was asked for
  std::vector<file_change> changes;  ///< from `old_tip` to `tip`; none where `old_tip` is zero
  pack_progress progress;            ///< of it
};

promise<fetch_result> fetch(object_store& store, std::string url, clone_options options = {});

}  // namespace fermata::git_mem
