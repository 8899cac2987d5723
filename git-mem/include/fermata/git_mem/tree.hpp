// SPDX-License-Identifier: MIT
/// Trees of a snapshot: the entries of one, a walk from a path.
///
/// Pauses: never; `tree_reader::next` is below 1 us, a step of `tree_walk` takes its budget and one
///         unit more.
/// Thread: any, one at a time.
/// Throws: `failure`: reason::not_found for a path or object that is not there, reason::corrupt for
///         a damaged tree and for names that must never reach a file or URL (`..`, `.git`, `a/b`),
///         reason::limit for what a walk refuses.
#pragma once

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/object_reader.hpp>
#include <fermata/git_mem/object_store.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::git_mem {

/// What a tree entry is, as git writes it (octal). Of the other bits that old trees have, as in
/// 100600 and 100775, a reader takes 0100 alone, as git does: 100644 and 100755.
enum class file_mode : std::uint32_t {
  tree = 0040000,
  file = 0100644,
  executable = 0100755,
  symlink = 0120000,
  submodule = 0160000,
};

struct tree_entry {
  file_mode mode = file_mode::file;
  std::string_view name;  ///< a view of the tree's content
  object_id id;
};

/// Entries of one tree, in git's order, each checked: mode, name, order.
class tree_reader {
public:
  explicit tree_reader(std::span<const std::uint8_t> content) : content_(content) {}
  /// Errors name the tree. Its bytes stay where they are when the object moves.
  explicit tree_reader(const object& tree) : content_(tree.bytes()), id_(tree.id) {}
  [[nodiscard]] std::optional<tree_entry> next();

private:
  [[noreturn]] void refuse(std::size_t at, const std::string& why) const;
  [[nodiscard]] file_mode to_mode(std::uint32_t bits, std::size_t at) const;

  std::span<const std::uint8_t> content_;
  object_id id_;  // zero: not known
  std::size_t at_ = 0;
  std::string_view last_name_;
  bool last_is_tree_ = false;
};

/// May a file or directory have this name? Not empty, `.` or `..`, no `/` and no NUL; not `.git` of
/// any case, nor what file systems of other machines take for it (`git~1`, `.git `, U+200C in it).
[[nodiscard]] bool is_safe_name(std::string_view name) noexcept;

/// Walks all files below a path, in the order of their paths.
///
/// Shape:  `step` until `done` or `error`; each step gives at most one entry. Directories are
/// entered
///         and not given; submodules are given and not entered.
/// Cost:   the open trees on the way from the root to the entry.
class tree_walk {
public:
  struct entry {
    std::string path;  ///< from the root of the walk, without it
    file_mode mode = file_mode::file;
    object_id id;
    std::uint64_t size_bytes = 0;  ///< 0 for a submodule
    bool is_absent = false;        ///< a file that a filter left out: its size is not known
  };
  struct result {
    step_state state = step_state::more;
    std::chrono::nanoseconds cost{};
    const entry* found = nullptr;  ///< valid until the next step
  };
  /// Nested directories, and bytes of a path with its slashes: what 256 names of 255 bytes need.
  /// Git has neither bound in a bare repository. More is refused (reason::limit), also by diffs,
  /// which fetches make.
  static constexpr std::size_t deepest = 256;
  static constexpr std::size_t longest_path = 64 * 1024;
  /// All paths of files and directories of one walk, and 64 bytes for each: some thirty million. A
  /// few trees that name each other often have more files than anybody could ever list.
  static constexpr std::uint64_t most_path_bytes = std::uint64_t{4} << 30;

  /// `root` is a commit, or a tree; `path` is a directory in it, empty for all. Who also reads the
  /// files has one cache for both.
  tree_walk(snapshot_ptr from,
            const object_id& root,
            std::string_view path = {},
            object_cache* recent = nullptr);
  tree_walk(tree_walk&&) noexcept;
  tree_walk& operator=(tree_walk&&) noexcept;
  ~tree_walk();

  result step(std::chrono::nanoseconds budget = default_step_budget);
  [[nodiscard]] const failure& error() const;

private:
  struct work;
  std::unique_ptr<work> work_;
};

/// Finds what stands at a path, in slices: `step` until `done` or `error`, then `found`.
class path_finder {
public:
  path_finder(snapshot_ptr from, const object_id& root, std::string_view path);
  path_finder(path_finder&&) noexcept;
  path_finder& operator=(path_finder&&) noexcept;
  ~path_finder();

  step_result step(std::chrono::nanoseconds budget = default_step_budget);
  [[nodiscard]] const failure& error() const;

  /// After `done`: what is there, or nothing.
  struct place {
    file_mode mode = file_mode::tree;
    object_id id;
  };
  [[nodiscard]] const std::optional<place>& found() const;

private:
  struct work;
  std::unique_ptr<work> work_;
};

}  // namespace fermata::git_mem
