// SPDX-License-Identifier: MIT
// Which of a remote's refs were asked for, and what becomes of a store's.
#pragma once

#include <fermata/git_mem/clone.hpp>

#include <string>
#include <vector>

namespace fermata::git_mem::detail {

// What a branch's name may stand for there.
[[nodiscard]] std::vector<std::string> wanted_names(const std::string& branch);

// Leaves in `result`, whose tip is chosen, what was asked for: protocol 0 lists all that there is,
// and protocol 2 more than that too. HEAD stands for `ref` where its own target was not asked for.
// Lifetime: all three outlive the promise.
promise<> keep_asked(clone_result& result,
                     const std::string& branch,
                     const std::vector<std::string>& also);

// A HEAD that stands for a tag stands for its commit, as git has it. `in` has what came.
promise<> settle_head(snapshot_ptr in, clone_result& result);

// Those of the store with those that were received: what was asked for is as there, all else as it
// was. HEAD stays where the store has what it stands for, but the remote's was not asked for.
// Rejects: `failure` (reason::conflict) where `a/b` would come beside `a`.
promise<std::vector<reference>> merge_refs(snapshot_ptr known,
                                           const clone_result& received,
                                           const std::string& branch,
                                           const std::vector<std::string>& also);

}  // namespace fermata::git_mem::detail
