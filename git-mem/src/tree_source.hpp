// SPDX-License-Identifier: MIT
// What walks and diffs of trees share: where they begin, and the order of names.

#pragma once

#include <fermata/git_mem/object_reader.hpp>
#include <fermata/git_mem/tree.hpp>

#include <compare>
#include <string>
#include <string_view>

namespace fermata::git_mem::detail {

// `root` may be a commit: its tree. Commits are small.
[[nodiscard]] object_id root_tree(const snapshot_ptr& from, const object_id& root);

[[nodiscard]] object_reader open_tree(const snapshot_ptr& from, const object_id& id);

// `path "..."`, for messages.
[[nodiscard]] std::string shown_path(std::string_view path);

// Git's order: as if directories ended in '/'.
[[nodiscard]] std::strong_ordering tree_order(std::string_view a,
                                              bool a_is_tree,
                                              std::string_view b,
                                              bool b_is_tree) noexcept;

}  // namespace fermata::git_mem::detail
