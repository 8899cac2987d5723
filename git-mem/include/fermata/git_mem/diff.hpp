// SPDX-License-Identifier: MIT
/// Which files differ between two commits or trees.
///
/// Shape:   both trees are merged in git's order; subtrees that are equal are not read. What is
///          found is what `git diff --raw --no-renames` shows, in its order: a file that becomes a
///          directory is a removal and additions, and no renames are guessed.
/// Pauses:  `diff_files` and `list_changes` may, after every step (about 50 us) and every change;
///          `tree_diff::step` never: it takes its budget and one unit more.
/// Thread:  loop; `tree_diff`: any, one at a time.
/// Rejects: `failure`: reason::not_found for a commit or tree that is not there, reason::corrupt
///          for a damaged one, reason::limit for what `tree_walk` refuses; `cancelled`.
/// Cost:    the trees that differ, once; memory for those on the way to the present entry, and an
///          `object_cache` of 8 MiB at most. Blobs need not be there.
#pragma once

#include <fermata/git_mem/tree.hpp>
#include <fermata/promise/promise.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace fermata::git_mem {

/// One file (or link, or submodule) that is not the same on both sides.
struct file_change {
  enum class kind : std::uint8_t { added, removed, modified, type_changed };

  kind what = kind::modified;
  std::string path;
  file_mode old_mode = file_mode::file;  ///< as git shows it; of no meaning where added
  file_mode new_mode = file_mode::file;  ///< the same where removed
  object_id old_id;                      ///< zero where added
  object_id new_id;                      ///< zero where removed

  /// As `git diff --name-status` has it: A, D, M or T.
  [[nodiscard]] char letter() const noexcept;
};

/// The diff as a machine: `step` until `done` or `error`; a step gives at most one change.
class tree_diff {
public:
  struct result {
    step_state state = step_state::more;
    std::chrono::nanoseconds cost{};
    const file_change* found = nullptr;  ///< valid until the next step
  };

  /// Each side is a commit or a tree; the zero id is the empty tree.
  tree_diff(snapshot_ptr from, const object_id& before, const object_id& after);
  tree_diff(tree_diff&&) noexcept;
  tree_diff& operator=(tree_diff&&) noexcept;
  ~tree_diff();

  result step(std::chrono::nanoseconds budget = default_step_budget);
  [[nodiscard]] const failure& error() const;

private:
  struct work;
  std::unique_ptr<work> work_;
};

/// Calls `visit` for each change and waits for what it returns. Its argument is valid until then.
promise<> diff_files(snapshot_ptr from,
                     object_id before,
                     object_id after,
                     std::function<promise<>(const file_change&)> visit);

/// What a list of changes may take in memory, by default: two million of usual length.
inline constexpr std::uint64_t most_change_bytes = std::uint64_t{256} << 20;

/// All of them. Rejects: also reason::limit where they take more than `most_bytes`.
promise<std::vector<file_change>> list_changes(snapshot_ptr from,
                                               object_id before,
                                               object_id after,
                                               std::uint64_t most_bytes = most_change_bytes);

}  // namespace fermata::git_mem
