// SPDX-License-Identifier: MIT
// Files as the jobs on the pool write and read them: whole or absent, with errors that name them.
//
// Thread: any but a loop's: every call may wait for the disk.
#pragma once

#include <fermata/promise/unique_fd.hpp>

#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

namespace fermata::git_mem {

// How much is moved between two looks at a stop token.
inline constexpr std::size_t file_piece_bytes = 1024 * 1024;

// A new file beside `path` that `commit` gives that name; without a commit it is removed. Where a
// file is there already its permissions are kept; a symbolic link to it stays one.
class file_writer {
public:
  // `mode`: of a new file, less what the umask takes. Throws: `error` where something else than a
  // file is there.
  explicit file_writer(const std::string& path, unsigned mode = 0666);
  file_writer(const file_writer&) = delete;
  file_writer& operator=(const file_writer&) = delete;
  ~file_writer();

  void write(std::span<const std::uint8_t> bytes);
  void write(std::string_view text);
  // Syncs, renames, and syncs the folder.
  void commit() { commit_as(path_); }
  // The same under another name in the same folder.
  void commit_as(const std::string& path);

private:
  std::string path_;
  std::string temporary_;
  unique_fd file_;
};

class file_reader {
public:
  explicit file_reader(std::string path);

  // From here on, exactly these bytes. Throws: `error` for a file that ends before.
  void read(std::span<std::uint8_t> into);
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint64_t position() const noexcept { return at_; }

private:
  std::string path_;
  unique_fd file_;
  std::uint64_t size_ = 0;
  std::uint64_t at_ = 0;
};

void make_folder(const std::string& path);
void sync_folder(const std::string& path);

// Throws `cancelled` where a stop is requested.
void check_stop(const std::stop_token& stop);

}  // namespace fermata::git_mem
