// SPDX-License-Identifier: MIT
// Commits as `git log` shows them.
#pragma once

#include "mailmap.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/revparse.hpp>

#include <string>

namespace fermata_git {

// The block of `git log`, without the empty line between two. `people` null: its author's line is
// damaged, and is not shown.
[[nodiscard]] std::string log_block(const fermata::git_mem::commit& c,
                                    const fermata::git_mem::short_names& names,
                                    const mailmap* people);

// The line of `git log --oneline`.
[[nodiscard]] std::string log_line(const fermata::git_mem::commit& c,
                                   const fermata::git_mem::short_names& names);

}  // namespace fermata_git
