// SPDX-License-Identifier: MIT
/// A store in one file, and back: what a service keeps over a restart.
///
/// Shape:    the file has a line with its version, then sections: refs, shallow commits, whether
///           the store is partial (then earlier versions refuse the file), and each pack as it
///           came with the names and places of its objects; a checksum ends each. It is written
///           beside, synced and renamed: at any moment the path has the old store or the new one,
///           whole.
/// Pauses:   never; all of it runs on the pool, in pieces of 1 MiB that a cancel ends.
/// Thread:   loop.
/// Rejects:  `failure` that names the file, the byte and the section (`cannot restore /x: byte 52:
///           section "entries": its checksum is not the one it says`), and the store is as before;
///           `error` of the file system; `cancelled`.
/// Cost:     the bytes once through SHA-1 (0.5 ms a MB); restoring also 0.3 us an object, for
///           nothing is inflated again. Memory as after the clone, checked against the file's size
///           and the limits before it is taken.
#pragma once

#include <fermata/git_mem/object_store.hpp>
#include <fermata/promise/promise.hpp>

#include <memory>
#include <string>
#include <vector>

namespace fermata::git_mem {

promise<> save(snapshot_ptr from, std::string path);

/// The store's current snapshot.
promise<> save(const object_store& store, std::string path);

/// Throws what `save` would reject with of its place, for who works long before he saves: makes a
/// temporary file there and takes it away. Waits for the disk.
void check_place(const std::string& path);

/// Publishes what the file has.
///
/// The checksums find accidents. They are no proof against who can write the file: objects are not
/// hashed again, but no content of the file makes reading unsafe or endless.
promise<> restore(object_store& into, std::string path, pack_limits limits = {});

/// What a saved file has.
struct saved_store {
  saved_store() = default;
  saved_store(saved_store&&) = default;
  saved_store& operator=(saved_store&&) = default;

  std::vector<reference> refs;
  std::vector<object_id> shallow;
  bool is_partial = false;
  std::vector<std::unique_ptr<pack>> packs;  ///< newest first
};

/// Reads a file at once. Thread: any but a loop's. Throws: as `restore` rejects.
[[nodiscard]] saved_store read_saved(const std::string& path, const pack_limits& limits = {});

/// Writes one at once. Thread: any but a loop's.
void write_saved(const snapshot_ptr& from, const std::string& path);

}  // namespace fermata::git_mem
