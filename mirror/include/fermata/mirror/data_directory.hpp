// SPDX-License-Identifier: MIT
/// The folder in which the mirror keeps its last good index over a restart.
///
/// Shape:  DIR/lock is held as long as the object lives; DIR/index is one file with a checksum over
///         all of it. It is written to DIR/index.new, synced, and renamed. DIR/store is the
///         repository, so that the first update after a restart is a fetch.
/// Pauses: never; all functions block on the disk: run them by `detach`.
/// Thread: any, one at a time.
/// Throws: `fermata::error` with the path and the reason.
#pragma once

#include <fermata/mirror/generation.hpp>
#include <fermata/mirror/service_status.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fermata::mirror {

/// What `load` found. Without `found`, `refused` says why, unless there was nothing.
struct loaded_generation {
  std::unique_ptr<generation> found;
  std::string refused;
};

/// The largest index that is read back.
inline constexpr std::uint64_t longest_saved_index_bytes = 1024 * 1024 * 1024;

class data_directory {
public:
  /// Makes the folder if need be, and locks it.
  /// Throws: `cannot use DIR: another process holds DIR/lock (pid 4711)`, and what the disk says.
  explicit data_directory(std::string path);
  ~data_directory();
  data_directory(data_directory&& other) noexcept;
  data_directory& operator=(data_directory&& other) noexcept;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// Shape: a file that is damaged, or none of ours, is renamed to DIR/index.refused. One of
  /// another
  ///        remote or branch is refused too, but stays until the next `save`.
  /// Throws: for what the disk refuses; never for what a file holds.
  [[nodiscard]] loaded_generation load(std::string_view remote, std::string_view branch);

  void save(const generation& g);

  /// Where the repository is kept that the index was made of, as `git_mem::save` writes it.
  [[nodiscard]] std::string store_path() const { return file("store"); }
  /// Sets it aside as DIR/store.refused. What cannot be renamed is written over by the next save.
  void refuse_store() const noexcept;

  /// What the folder takes and what its disk still has; nothing where that is not known.
  [[nodiscard]] disk_status disk() const noexcept;

private:
  [[nodiscard]] std::string file(std::string_view name) const;

  std::string path_;
  int lock_ = -1;
};

}  // namespace fermata::mirror
