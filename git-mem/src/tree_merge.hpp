// SPDX-License-Identifier: MIT
// Two trees gone through like two sorted lists, with what is below them. Whoever drives it reads
// the trees: so it serves readers in steps and readers on another thread.

#pragma once

#include "costs.hpp"
#include "tree_source.hpp"

#include <fermata/git_mem/diff.hpp>
#include <fermata/git_mem/object_reader.hpp>
#include <fermata/git_mem/tree.hpp>

#include <optional>
#include <string>
#include <vector>

namespace fermata::git_mem::detail {

class tree_merge {
public:
  struct outcome {
    const file_change* found = nullptr;  // valid until the next step
    bool enters = false;                 // `open` these next, as far as they are not zero
    object_id old_tree;
    object_id new_tree;
  };

  // The trees of the root, or of what `step` has entered; a side may have none.
  void open(std::optional<object> before, std::optional<object> after);
  // Goes on, by at most some hundred entries. Throws: `failure`.
  [[nodiscard]] outcome step(cost_ns& cost);
  [[nodiscard]] bool is_done() const noexcept { return stack_.empty(); }
  // The directory that was entered or is gone through, with '/'; empty: the root.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  // `f` with it.
  [[nodiscard]] failure placed(const failure& f) const;

private:
  struct side {
    void open(std::optional<object> t);
    void advance() { head = entries ? entries->next() : std::nullopt; }

    std::optional<object> tree;
    std::optional<tree_reader> entries;
    std::optional<tree_entry> head;  // its name is in `tree`
  };
  struct level {
    side before;
    side after;
    std::size_t path_size = 0;  // of the path, with this directory's '/'
  };
  [[nodiscard]] outcome take(const std::optional<tree_entry>& a,
                             const std::optional<tree_entry>& b);

  std::vector<level> stack_;
  std::string path_;  // of the directory that is entered or on top, with '/'
  walk_bounds bounds_;
  file_change current_;
};

// Lists changes in bounded memory.
class change_adder {
public:
  change_adder(std::vector<file_change>& to, std::uint64_t most_bytes) noexcept
      : to_(to), most_bytes_(most_bytes) {}
  // Throws: `failure`.
  void add(const file_change& c);

private:
  std::vector<file_change>& to_;
  std::uint64_t most_bytes_;
  std::uint64_t bytes_ = 0;
};

}  // namespace fermata::git_mem::detail
