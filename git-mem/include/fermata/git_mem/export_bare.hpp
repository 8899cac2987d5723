// SPDX-License-Identifier: MIT
/// A snapshot as a bare repository on disk, for git and everything that knows git.
///
/// Shape:    HEAD, config, packed-refs, shallow, and one pack with its index of what the refs
///           reach. `git fsck --full --strict` accepts it. HEAD is written last: half an export is
///           no repository.
/// Pauses:   may, as compaction does; files are written on the pool, each 64 KiB.
/// Thread:   loop.
/// Rejects:  `failure`: reason::conflict where `directory` is there and not empty,
///           reason::unsupported for a partial clone, and as `compact`; `error` of the file
///           system; `cancelled`.
#pragma once

#include <fermata/git_mem/object_store.hpp>
#include <fermata/promise/promise.hpp>

#include <string>

namespace fermata::git_mem {

promise<> export_bare(snapshot_ptr from, std::string directory);

/// The store's current snapshot.
promise<> export_bare(const object_store& store, std::string directory);

}  // namespace fermata::git_mem
