// SPDX-License-Identifier: MIT
/// Which archives the packages of a commit name, by their checksums.
///
/// Shape:    every opam file is remembered with the blob it was read from, so `read` looks again at
///           changed files alone. Sources that share a checksum are one archive with alternatives,
///           unless another checksum of theirs contradicts: these stay apart, and are reported. The
///           result does not depend on the order in which files came.
/// Pauses:   `read` may, after each file. The others are below 50 us.
/// Thread:   loop.
/// Cost:     20 us a file that is read, 0.2 us one that is not; about 500 bytes a file of memory.
#pragma once

#include <fermata/git_mem/tree.hpp>
#include <fermata/mirror/archive_hash.hpp>
#include <fermata/mirror/opam_sources.hpp>
#include <fermata/promise/promise.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::mirror {

/// One archive, as all packages that need it describe it.
struct wanted_archive {
  std::vector<archive_hash> hashes;   ///< sorted; at most one of each kind
  std::vector<std::string> urls;      ///< declared, each once
  std::vector<std::string> mirrors;   ///< declared as such, each once, without `urls`
  std::vector<std::string> packages;  ///< `name.version`, each once

  /// The strongest of its checksums: what it is known by.
  [[nodiscard]] const archive_hash& key() const { return hashes.back(); }
};

/// Something in an opam file that could not be used.
struct catalogue_note {
  std::string where;  ///< `packages/a/a.1/opam`
  std::string what;   ///< `12:3: why`, or a URL and why it is skipped
};

struct catalogue_counts {
  std::size_t opam_files = 0;
  std::size_t unavailable = 0;  ///< packages with `available: false`
  std::size_t sources = 0;      ///< of the others
  std::size_t archives = 0;
  std::size_t alternatives = 0;      ///< archives with two or more declared URLs
  std::size_t without_checksum = 0;  ///< sources
  std::size_t version_control = 0;
  std::size_t refused = 0;  ///< `file://` and what nobody can fetch
  std::size_t faults = 0;   ///< lines that could not be read
};

struct catalogue_update {
  std::size_t files_read = 0;
  std::deque<archive_hash> touched;  ///< keys of archives that came, went or changed; some twice
};

class archive_catalogue {
public:
  using file_list = std::deque<git_mem::tree_walk::entry>;

  explicit archive_catalogue(bool allow_file = false);
  archive_catalogue(const archive_catalogue&) = delete;
  archive_catalogue& operator=(const archive_catalogue&) = delete;
  ~archive_catalogue();

  /// Makes it that of `files`: all files below packages/, in ascending order of their paths.
  /// Rejects:  `git_mem::failure`, `cancelled`; then some files are as they were before, and the
  ///           next call reads them. One call at a time.
  /// Lifetime: `files` outlives the promise.
  promise<catalogue_update> read(git_mem::snapshot_ptr from, const file_list& files);

  /// One file, as `read` does it: `path` is below packages/.
  void set_file(std::string_view path, const git_mem::object_id& blob, opam_sources sources);
  void remove_file(std::string_view path);
  /// What changed since it was last taken.
  [[nodiscard]] std::deque<archive_hash> take_touched();

  /// By any of its checksums.
  [[nodiscard]] std::optional<wanted_archive> find(const archive_hash& hash) const;
  [[nodiscard]] bool has(const archive_hash& hash) const;
  /// All of them: `at` for each number below `slots`. What is at one may change over a pause.
  [[nodiscard]] std::size_t slots() const noexcept;
  [[nodiscard]] std::optional<wanted_archive> at(std::size_t slot) const;

  [[nodiscard]] catalogue_counts counts() const noexcept;
  /// Lines that could not be read, by path; at most `most`.
  [[nodiscard]] std::vector<catalogue_note> faults(std::size_t most) const;
  /// Sources that are not downloaded, and why.
  [[nodiscard]] std::vector<catalogue_note> skipped(std::size_t most) const;
  /// Checksums that contradict each other.
  [[nodiscard]] std::vector<catalogue_note> conflicts(std::size_t most) const;

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

/// The package of a path below packages/ where it is an opam file (or the older `url` beside it):
/// `a.1` of `a/a.1/opam`; empty where it is none.
[[nodiscard]] std::string_view package_of_path(std::string_view path) noexcept;

}  // namespace fermata::mirror
