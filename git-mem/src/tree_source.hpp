// SPDX-License-Identifier: MIT
// What walks and diffs of trees share: where they begin, and the order of names.

#pragma once

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/object_reader.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/git_mem/tree.hpp>
#include <fermata/promise/promise.hpp>

#include <chrono>
#include <compare>
#include <string>
#include <string_view>

namespace fermata::git_mem::detail {

// `root` may be a commit: its tree. In one step, so that the largest commits are refused.
[[nodiscard]] object_id root_tree(const snapshot_ptr& from, const object_id& root);

// The same of any commit, with pauses. The zero id is itself.
promise<object_id> get_root_tree(snapshot_ptr from, object_id root);

[[nodiscard]] object_reader open_tree(const snapshot_ptr& from,
                                      const object_id& id,
                                      object_cache* recent = nullptr);

// `path "..."`, for messages.
[[nodiscard]] std::string shown_path(std::string_view path);

// Git's order: as if directories ended in '/'.
[[nodiscard]] std::strong_ordering tree_order(std::string_view a,
                                              bool a_is_tree,
                                              std::string_view b,
                                              bool b_is_tree) noexcept;

// What one walk may come to: see `tree_walk`.
class walk_bounds {
public:
  // A file or directory is given or entered. Throws: `failure`.
  void take(std::size_t path_bytes) {
    all_ += path_bytes + 64;
    if (path_bytes > tree_walk::longest_path || all_ > tree_walk::most_path_bytes) [[unlikely]]
      refuse(path_bytes);
  }
  // A directory in `depth` others is entered. Throws: `failure`.
  static void enter(std::size_t depth);

private:
  [[noreturn]] static void refuse(std::size_t path_bytes);
  std::uint64_t all_ = 0;
};

// A step of a machine that gives at most one thing, which is what tree_walk and tree_diff are.
// `directory` (which the work may change) is where a failure comes about; empty: not said.
template <typename Result, typename Work>
[[nodiscard]] Result step_to_next(Work& w,
                                  std::chrono::nanoseconds budget,
                                  const std::string& directory) {
  Result r;
  if (w.error) {
    r.state = step_state::error;
    return r;
  }
  try {
    while (r.cost < budget && !w.done && r.found == nullptr) r.found = w.unit(r.cost);
    if (w.done) r.state = step_state::done;
  } catch (const failure& f) {
    w.error = directory.empty() ? f : f.at("directory \"" + printable(directory) + "\"");
    r.state = step_state::error;
  }
  return r;
}

}  // namespace fermata::git_mem::detail
