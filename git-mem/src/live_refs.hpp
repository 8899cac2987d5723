// SPDX-License-Identifier: MIT
// What a snapshot's refs keep alive, for compaction and export.
#pragma once

#include <fermata/git_mem/reachability.hpp>

#include <vector>

namespace fermata::git_mem::detail {

// All that refs reach whose object is there.
promise<reachable_objects> find_live(snapshot_ptr from);

// In slices: there may be many.
promise<std::vector<reference>> copy_refs(snapshot_ptr from);

// The shallow commits that are among them.
[[nodiscard]] std::vector<object_id> live_shallow(const snapshot& from, const object_set& live);

}  // namespace fermata::git_mem::detail
