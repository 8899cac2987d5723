// SPDX-License-Identifier: MIT
// Objects as they are stored: what tree.hpp and commit.hpp read, written.
#pragma once

#include <fermata/git_mem/change.hpp>

#include <string>
#include <vector>

namespace fermata::git_mem::detail {

// Throw: `failure` (reason::corrupt) for what would be read back as something else.
[[nodiscard]] std::string commit_text(const commit& c);
[[nodiscard]] std::string tag_text(const tag& t);
// Items in git's order.
[[nodiscard]] std::string tree_text(std::vector<tree_item> items);

}  // namespace fermata::git_mem::detail
