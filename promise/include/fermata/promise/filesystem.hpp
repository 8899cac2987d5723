// SPDX-License-Identifier: MIT
/// Names in the file system: looked at, made, renamed and removed without blocking the loop; and
/// whole files, read or replaced at once.
///
/// Shape:    a symlink is followed, but by `remove_*`, `rename_file` and `read_symlink`.
/// Pauses:   until the call has ended on the pool.
/// Thread:   loop.
/// Rejects:  `error` that names the operation and the path (`cannot remove /tmp/x: no such file or
///           directory (uv ENOENT)`); `cancelled`; `loop_closed`.
/// Cancel:   what has not started is not done. What runs is waited for: one system call gives its
///           result; `read_file`, `replace_file` and `remove_tree` stop on their way.
/// Cost:     that of `detach`: about 20 us beside the work itself.
#pragma once

#include <fermata/promise/file.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace fermata {

promise<file_status> get_status(std::string path);
/// Nothing where there is no such file.
promise<std::optional<file_status>> find_status(std::string path);

promise<> make_directory(std::string path, unsigned mode = 0777);
/// With those above it; what exists already is no error.
promise<> make_directories(std::string path);
promise<> make_symlink(std::string target, std::string path);
promise<std::string> read_symlink(std::string path);
/// Replaces what `to` names.
promise<> rename_file(std::string from, std::string to);
/// A file, a symlink: all but a directory.
promise<> remove_file(std::string path);
/// An empty directory.
promise<> remove_directory(std::string path);
/// A file or a directory with all that is in it; gives how many were removed, 0 where there is
/// none.
promise<std::uint64_t> remove_tree(std::string path);

/// The whole content. Rejects: `error` where it is more than `most_bytes` (`cannot read /tmp/x: it
/// has more than 10 bytes`); nothing more than that is read.
promise<std::string> read_file(std::string path, std::size_t most_bytes);
/// Gives `path` a new content that is there whole or not at all, also after a crash: written
/// beside, synced, renamed, and the directory synced. Before it settles the old content may be
/// there or the new one; where it rejects with an `error` the old one is, unless the directory
/// could not be synced.
promise<> replace_file(std::string path, std::string content, unsigned mode = 0644);

/// A new file of a name of its own, open for reading and writing, that is removed with its owner.
class temp_file {
public:
  temp_file(temp_file&&) noexcept = default;
  temp_file& operator=(temp_file&&) noexcept = default;

  [[nodiscard]] file& opened() noexcept { return file_; }
  [[nodiscard]] const std::string& path() const noexcept;
  /// Renames it to `path` in the same file system; from then on it stays.
  promise<> keep_as(std::string path);

private:
  friend promise<temp_file> make_temp_file(std::string directory);
  struct name;
  temp_file(file f, std::shared_ptr<name> n) noexcept : file_(std::move(f)), name_(std::move(n)) {}
  static temp_file make(std::string folder);
  static promise<> rename(std::shared_ptr<name> n, std::string path);
  file file_;
  std::shared_ptr<name> name_;
};

/// Makes one, readable by this user alone.
promise<temp_file> make_temp_file(std::string directory = "/tmp");

}  // namespace fermata
