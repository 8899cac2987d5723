// SPDX-License-Identifier: MIT
// Where a shallow client's history ends after a fetch, and whether enough is known of what it has.

#pragma once

#include "upload_request.hpp"

#include <fermata/git_mem/object_store.hpp>
#include <fermata/promise/promise.hpp>

#include <vector>

namespace fermata::git_mem::detail {

struct history_cut {
  std::vector<object_id> boundary;   // commits whose parents are left out from now on, sorted
  std::vector<object_id> shallow;    // those of them that the client does not know as such
  std::vector<object_id> unshallow;  // those that the client will have with their parents
  std::vector<object_id> more_tips;  // these parents
};

// What the request's depth, date and refs mean in this history. Rejects: `failure`.
promise<history_cut> cut_history(snapshot_ptr from, const upload_request& r);

// Does every want reach something common? Then no more haves are needed. A `no` is never wrong.
promise<bool> is_enough(snapshot_ptr from,
                        const std::vector<object_id>& wants,
                        const std::vector<object_id>& common);

}  // namespace fermata::git_mem::detail
