// SPDX-License-Identifier: MIT
/// One interface over two backends: a store in memory, and a bare repository on disk.
///
/// Shape:    what is promised is the same for both, and tests hold both to it: names, errors, refs
///           that are compared and swapped, and how long the loop is held.
/// Pauses:   may. In memory as `get_object` and `change` do; on disk all runs on the pool, one job
///           at a time.
/// Thread:   loop.
/// Rejects:  `failure` (reasons as `object_reader` and `change` have them), `cancelled`.
/// Cost:     on disk about 20 us a call beside the work. Walks, logs and diffs here read one object
///           a call; in memory the snapshot's own functions do far more at once.
/// Lifetime: the repository outlives its promises.
#pragma once

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/detail/commit_queue.hpp>
#include <fermata/git_mem/diff.hpp>
#include <fermata/git_mem/object_reader.hpp>
#include <fermata/git_mem/object_store.hpp>
#include <fermata/git_mem/tree.hpp>
#include <fermata/promise/promise.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace fermata::git_mem {

struct object_info {
  object_type type = object_type::blob;
  std::uint64_t size_bytes = 0;
};

struct new_object {
  object_type type = object_type::blob;
  std::string content;
};

/// What is to become of a ref; see `change`.
struct ref_change {
  enum class kind : std::uint8_t { set, remove, symbolic };

  kind what = kind::set;
  std::string name;
  object_id to;                       ///< `set`
  std::string target;                 ///< `symbolic`
  std::optional<object_id> expected;  ///< zero: it is not there; nothing: all is well
};

class repository {
public:
  virtual ~repository() = default;

  virtual promise<std::optional<object_info>> find_object(object_id id) = 0;

  /// Rejects: reason::not_found, reason::limit.
  virtual promise<object> get_object(object_id id, std::uint64_t limit_bytes) = 0;

  /// Those whose names begin with these hex digits (4 to 40), sorted.
  virtual promise<std::vector<object_id>> find_by_prefix(std::string digits) = 0;

  /// Sorted by name, HEAD too. What a symbolic ref stands for is filled in; zero where it is
  /// nothing.
  virtual promise<std::vector<reference>> list_refs() = 0;

  /// Commits whose parents are left out, sorted.
  virtual promise<std::vector<object_id>> list_shallow() = 0;

  /// Adds them in this order, and gives their names; they can be read at once. In memory a call
  /// makes a pack. Rejects: reason::corrupt, reason::not_found where one names what is not there;
  /// on disk those before it stay, as garbage.
  virtual promise<std::vector<object_id>> add_objects(std::vector<new_object> objects) = 0;

  /// All or nothing; on disk another process that interferes may leave the removals done and the
  /// rest not. Rejects: reason::conflict, reason::unsupported for a name that no ref may
  /// have, reason::not_found for an object that is not there.
  virtual promise<> change_refs(std::vector<ref_change> changes) = 0;

protected:
  repository() = default;
  repository(const repository&) = default;
  repository& operator=(const repository&) = default;
};

/// Over a store, which outlives it. Every call sees the store's current snapshot.
[[nodiscard]] std::unique_ptr<repository> memory_repository(object_store& store);

/// Over a bare repository (or the `.git` of another), through libgit2 on the pool.
promise<std::shared_ptr<repository>> open_disk_repository(std::string path);

/// Makes an empty one, or opens the one that is there.
promise<std::shared_ptr<repository>> create_disk_repository(std::string path);

/// Calls `visit` with the path, mode and id of all files below a commit or tree, in the order of
/// their paths, over either backend.
promise<> walk_repository(repository& from,
                          object_id root,
                          std::function<promise<>(const tree_walk::entry&)> visit);

/// Calls `visit` for each file that differs between two commits or trees, over either backend, in
/// the order and with the words of `diff_files`; the zero id is the empty tree.
promise<> diff_repository(repository& from,
                          object_id before,
                          object_id after,
                          std::function<promise<>(const file_change&)> visit);

/// History over either backend, in the order of `commit_log`. Lifetime: the repository outlives the
/// log, and the log the promise of `next`.
class repository_log {
public:
  repository_log(repository& from, std::vector<object_id> tips);

  /// The next commit; nothing at the end. Rejects: reason::not_found for a parent that is missing.
  promise<std::optional<commit>> next();

private:
  promise<> add(object_id id);

  repository& from_;
  std::vector<object_id> tips_;  // not looked at yet
  std::vector<object_id> shallow_;
  detail::commit_queue next_;
  std::set<object_id> seen_;
  bool has_begun_ = false;
};

}  // namespace fermata::git_mem
