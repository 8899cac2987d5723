// SPDX-License-Identifier: MIT
// The files of an archive store: blocking calls, for the pool.
//
// Throws: `error`, `store_full`, `archive_mismatch`.
#pragma once

#include "kept_sizes.hpp"
#include "triple_digest.hpp"

#include <fermata/mirror/archive_store.hpp>

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

namespace fermata::mirror {

/// Throws what `errno` says; `store_full` where that is no room.
[[noreturn]] void fail(const std::string& what);

/// Calls f(name, inode) for what is in a folder; one that is not there is empty.
void for_each_name(const std::string& folder,
                   const std::function<void(const std::string&, ino_t)>& f);

/// Reads the next MiB of a file into `digest`; gives its size, 0 at the end.
std::size_t hash_piece(int file, triple_digest& digest, const std::string& path);

/// A stored file that is being read through.
class archive_reading {
public:
  explicit archive_reading(const std::string& path);
  ~archive_reading();
  archive_reading(const archive_reading&) = delete;
  archive_reading& operator=(const archive_reading&) = delete;

  /// Hashes the next MiB; gives its size, 0 at the end.
  std::size_t step();
  [[nodiscard]] bool exists() const noexcept { return file_ >= 0; }
  [[nodiscard]] stored_archive finish();

private:
  std::string path_;
  int file_ = -1;
  std::uint64_t size_ = 0;
  triple_digest digest_;
};

struct found_archives {
  std::vector<stored_archive> whole;
  std::set<archive_hash> unverified;  ///< those among them whose size nobody knows, by sha256
  std::size_t damaged = 0;
  std::size_t unreadable = 0;  ///< files and folders that stay as they are
  std::string fault;           ///< of the first of them
  void skip(const error& e);
};

/// Makes the folders, looks at all names, mends what lacks some, and moves aside what is not as
/// long as it was. What cannot be read is skipped. Throws: `store_full`; `error` of the folders.
[[nodiscard]] found_archives find_archives(std::stop_token stop,
                                           const std::string& folder,
                                           const archive_sizes& sizes);

/// Gives the file at `from` its three names. False: it had all.
bool name_archive(const std::string& folder,
                  const std::string& from,
                  const std::array<archive_hash, 3>& hashes);

enum class recovery : std::uint8_t { there, missing, damaged };

/// Gives an archive all its names again where one of them has its bytes; else takes all away, and
/// keeps what stands in its place as FOLDER/damaged/<sha256>. A file that can be opened and is as
/// long as it was is taken for it.
recovery recover_archive(std::stop_token stop, std::string folder, stored_archive a);

/// Takes the names away, those that are of the same file as the first. With `aside` the file is
/// kept as FOLDER/damaged/<sha256>.
void unname_archive(const std::string& folder, const stored_archive& a, bool aside);

}  // namespace fermata::mirror
