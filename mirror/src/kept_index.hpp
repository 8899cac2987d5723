// SPDX-License-Identifier: MIT
/// What an index was made of, for the next one: files in path order, and the groups they stand in.
///
/// Shape:  groups of files that are the same in both (paths, modes, object ids) are found by their
///         first path, in ascending order of it.
/// Pauses: all but the constructor may.
/// Thread: loop.
#pragma once

#include "served.hpp"

#include <fermata/git_mem/tree.hpp>
#include <fermata/mirror/index_builder.hpp>
#include <fermata/promise/promise.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

namespace fermata::mirror {

using file_list = std::deque<git_mem::tree_walk::entry>;  // no block of it is ever copied

/// What a repository may come to: its list of files is kept, and all of them are in the index.
class list_bounds {
public:
  static constexpr std::uint64_t most_list_bytes = std::uint64_t{256} << 20;
  static constexpr std::uint64_t most_file_bytes = std::uint64_t{16} << 30;
  /// Throws: `git_mem::failure` (reason::limit).
  void take(const git_mem::tree_walk::entry& e);

private:
  std::uint64_t list_bytes_ = 0;
  std::uint64_t file_bytes_ = 0;
};

struct kept_index {
  git_mem::object_id packages;  ///< the tree of `files`
  file_list files;              ///< below packages/, without that
  std::vector<index_block> blocks;
  std::vector<index_group> groups;
  served_ptr served;  ///< whose index the blocks are in
};

class group_finder {
public:
  /// `earlier` may be null: nothing is the same then.
  /// Lifetime: both outlive the finder.
  group_finder(const kept_index* earlier, const file_list& now) : earlier_(earlier), now_(now) {}

  /// Where the group that begins at file `at` ends.
  promise<std::size_t> end_of(std::size_t at) const;
  /// The earlier group with the same files as `at` to `end`, behind the same files from `reach`
  /// on; null where there is none. Calls come in ascending order.
  promise<const index_group*> find_same(std::size_t reach, std::size_t at, std::size_t end);

private:
  const kept_index* earlier_;
  const file_list& now_;
  std::size_t group_ = 0;       // the first that is not before what was asked last
  std::size_t first_file_ = 0;  // of it
};

/// Why a file cannot stand in the index; empty if it can.
[[nodiscard]] std::string_view why_unfit(const git_mem::tree_walk::entry& e);

/// The first file of the group `begin` to `end` that the group behind it may reach back to.
/// Cost: 3 us.
[[nodiscard]] std::size_t reach_back(const file_list& files, std::size_t begin, std::size_t end);

/// What `tree` of `from` has below it, given what `earlier.packages` had, which is in `from` too.
/// Rejects: `git_mem::failure`. Cost: of what changed, and 0.2 us a file.
promise<file_list> list_changed(git_mem::snapshot_ptr from,
                                git_mem::object_id tree,
                                const kept_index& earlier);

promise<> free_in_slices(file_list& files);

}  // namespace fermata::mirror
