// SPDX-License-Identifier: MIT
// A mirror follows one branch: the refs of what it followed before would hold old history for ever.
#pragma once

#include <fermata/git_mem/object_store.hpp>

#include <string>

namespace fermata::mirror {

// Leaves `ref` and HEAD alone, which stands for it, or for `commit` where it is no branch.
void follow_only(git_mem::object_store& store,
                 const std::string& ref,
                 const git_mem::object_id& commit);

}  // namespace fermata::mirror
