// SPDX-License-Identifier: MIT
// The files of an archive store: blocking calls, for the pool.
//
// Throws: `error`, `store_full`, `archive_mismatch`.
#pragma once

#include <fermata/http/shared_bytes.hpp>
#include <fermata/mirror/archive_store.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

struct evp_md_ctx_st;

namespace fermata::mirror {

/// md5, sha256 and sha512 of the same bytes.
class triple_digest {
public:
  triple_digest();
  ~triple_digest();
  triple_digest(const triple_digest&) = delete;
  triple_digest& operator=(const triple_digest&) = delete;
  void update(std::string_view bytes);
  /// Once; `restart` begins anew.
  [[nodiscard]] std::array<archive_hash, 3> finish();
  void restart();

private:
  std::array<evp_md_ctx_st*, 3> contexts_{};
};

/// A file below FOLDER/.new; removed with this unless it was committed.
class new_archive {
public:
  explicit new_archive(const std::string& folder);
  ~new_archive();
  new_archive(const new_archive&) = delete;
  new_archive& operator=(const new_archive&) = delete;

  void write(std::string_view bytes);
  void rewind();
  [[nodiscard]] stored_archive commit(const std::vector<archive_hash>& declared);

private:
  void check(const stored_archive& a, const std::vector<archive_hash>& declared) const;

  std::string folder_;
  std::string path_;
  int file_ = -1;
  std::uint64_t size_ = 0;
  triple_digest digest_;
};

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
  std::size_t damaged = 0;
};

/// Makes the folders, empties .new, looks at all names and mends what lacks some.
[[nodiscard]] found_archives find_archives(std::stop_token stop, const std::string& folder);

/// Gives the file at `from` its three names. False: it had all.
bool name_archive(const std::string& folder,
                  const std::string& from,
                  const std::array<archive_hash, 3>& hashes);

/// Takes the names away, those that are of the same file as the first. With `aside` the file is
/// kept as FOLDER/damaged/<sha256>.
void unname_archive(const std::string& folder, const stored_archive& a, bool aside);

}  // namespace fermata::mirror
