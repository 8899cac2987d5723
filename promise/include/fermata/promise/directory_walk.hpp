// SPDX-License-Identifier: MIT
/// What stands in a directory, and in those below it, one entry after the other.
///
/// Shape:   `while (true) { auto entry = co_await walk.next(); if (!entry) break; ... }`. An entry
///          comes before those in it; else in the file system's order. Symlinks are not followed.
///          What is added or removed meanwhile may come or not.
/// Pauses:  entries are read on the pool, up to 256 at a time, only when they are asked for: who
///          takes them slowly holds the walk back.
/// Thread:  loop.
/// Rejects: `error` where a directory cannot be read (`cannot read /tmp/x: permission denied (uv
///          EACCES)`); the next `next()` goes on behind it. `cancelled`, and no entry is lost;
///          `loop_closed`; `contract_error` where a `next()` is under way.
/// Cost:    one descriptor for each directory that is open: the entry's depth and one.
#pragma once

#include <fermata/promise/file.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

namespace fermata {

struct directory_entry {
  std::string path;  ///< begins with that of the walk
  file_type type = file_type::other;
  std::size_t depth = 0;  ///< 0 of those that stand in the first directory
};

struct walk_options {
  walk_options() {}  // no aggregate: safe as a default argument under g++ 12
  bool recursive = true;
  /// A directory that stands deeper is told as an `error`.
  std::size_t most_depth = 100;
};

namespace detail {
struct walk_state;
}

class directory_walk {
public:
  explicit directory_walk(std::string path, walk_options options = {});

  /// The next entry; nothing at the end.
  promise<std::optional<directory_entry>> next();

private:
  std::shared_ptr<detail::walk_state> state_;
};

}  // namespace fermata
