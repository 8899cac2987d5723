// SPDX-License-Identifier: MIT
/// Compaction: one pack of what the refs reach, so that many fetches do not grow memory.
///
/// Shape:    reachable entries are copied as they are, deltas too where their base stays; else the
///           object is deflated again. Then a snapshot of the same refs with that one pack is
///           published; readers of older snapshots keep theirs, and what nobody reads any more is
///           freed in slices before the promise settles.
/// Pauses:   may, after each piece of 64 KiB, each object that is looked at, each 512 KiB freed.
/// Thread:   loop. Where others publish meanwhile it begins again, up to three times.
/// Rejects:  `failure`: reason::not_found or reason::corrupt where a reachable object is missing or
///           damaged, reason::limit, reason::conflict where others kept publishing; `cancelled`.
///           The store is then as before.
/// Cost:     the new pack beside the old ones until it is published.
#pragma once

#include <fermata/git_mem/object_store.hpp>
#include <fermata/promise/promise.hpp>

#include <cstdint>

namespace fermata::git_mem {

struct compact_report {
  std::uint64_t objects_before = 0;
  std::uint64_t objects_after = 0;
  std::uint64_t bytes_before = 0;  ///< of packs
  std::uint64_t bytes_after = 0;
  std::uint64_t packs_before = 0;
};

/// Refs whose object is not in the store (earlier versions saved such) stay, and reach nothing. A
/// store that is one pack of reachable objects already is left as it is.
promise<compact_report> compact(object_store& store, pack_limits limits = {});

/// Frees what nobody uses any more: `object_store::reclaim_step` to its end.
promise<> reclaim(object_store& store);

}  // namespace fermata::git_mem
