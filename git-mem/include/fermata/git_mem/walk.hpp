// SPDX-License-Identifier: MIT
/// Reading a snapshot as promises: objects of any size, paths, all files below a directory.
///
/// Pauses:  may, after every step (about 50 us) and for every file.
/// Thread:  loop.
/// Rejects: `failure` (reason::not_found, reason::corrupt, reason::limit), `cancelled`.
#pragma once

#include <fermata/git_mem/object_reader.hpp>
#include <fermata/git_mem/tree.hpp>
#include <fermata/promise/promise.hpp>

#include <cstdint>
#include <functional>
#include <string>

namespace fermata::git_mem {

/// For `get_object`: whatever was let into the store.
inline constexpr std::uint64_t any_size = UINT64_MAX;

/// The whole object. Rejects: `failure` (reason::limit) for one larger than `limit_bytes`.
/// `recent`, if any, is of the same snapshot and outlives the promise.
promise<object> get_object(snapshot_ptr from,
                           object_id id,
                           std::uint64_t limit_bytes = std::uint64_t{128} << 20,
                           object_cache* recent = nullptr);

/// What stands at a path of a commit or tree, or nothing.
promise<std::optional<path_finder::place>> find_path(snapshot_ptr from,
                                                     object_id root,
                                                     std::string path);

/// Calls `visit` for each file below a directory of a commit or tree, in the order of the paths,
/// and waits for what it returns. Its argument is valid until that has settled. `recent` as above.
promise<> walk_files(snapshot_ptr from,
                     object_id root,
                     std::string path,
                     std::function<promise<>(const tree_walk::entry&)> visit,
                     object_cache* recent = nullptr);

}  // namespace fermata::git_mem
