// SPDX-License-Identifier: MIT
/// Makes `index.tar.gz` out of files, a step at a time.
///
/// A state machine without promises: whoever has the files drives it, on a loop or off it. The
/// bytes are a pure function of the files: entries in path order, one fixed time, owner and group,
/// no folder entries. It is one gzip member of blocks that end at a byte. Each was deflated with
/// its own text and the last 16 KiB before it. Where blocks end depends on paths and sizes nearby
/// and on nothing else: a changed file changes its own block and, if it stands at the end of it,
/// the next; an added one at most moves the ends of its neighbours. So a later build takes over all
/// other blocks as they are, group by group.
///
/// Shape:    `add`, then `feed` until all of the file's bytes are given, for each file in ascending
///           order of path bytes; then `finish`. After each of these, `step` until it says
///           `need_input` or `done`. `done` comes after `finish` only.
/// Pauses:   never; a `step` takes 3 us, or 25 us for 4 KiB through deflate or 32 KiB taken over;
///           at most 300 us.
/// Thread:   any, one at a time.
/// Throws:   `git_mem::failure` when the limit is passed; `fermata::error` when libarchive or
///           zlib fail; `contract_error` for calls out of order. Files that no client could
///           unpack are no error: they are left out and noted.
/// Cost:     7 ns a byte, 2 us a file; memory for the result, 0.2 MiB of zlib's, a piece of tar.
/// Lifetime: bytes given to `feed` stay until `step` asks for more.
#pragma once

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/memory.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::mirror {

/// A part of the index that was deflated in one go.
struct index_block {
  std::uint64_t tar_offset = 0;
  std::uint64_t tar_bytes = 0;
  std::uint64_t gzip_offset = 0;
  std::uint64_t gzip_bytes = 0;
  std::uint32_t crc = 0;  ///< CRC-32 of the block's tar bytes; they combine to the member's
};

/// Files from one path at which a block must begin to the next: what a later build can take over.
struct index_group {
  std::uint64_t entries = 0;  ///< files that were added or skipped
  std::uint64_t files = 0;    ///< of them, those in the tar
  std::size_t first_block = 0;
  std::size_t blocks = 0;
  std::uint64_t noted = 0;         ///< remarks, also those over `index_notes_max`
  std::vector<std::string> notes;  ///< the first of them
  std::string last_path;           ///< of its files; empty where it has none
};

struct index_result {
  git_mem::growing_range bytes;  ///< sealed: it holds what it needs
  std::string etag;              ///< with its quotes: half of the SHA-256 of `bytes`
  std::uint64_t files = 0;
  std::uint64_t tar_bytes = 0;
  std::uint64_t left_out = 0;      ///< files that were refused or skipped
  std::vector<std::string> notes;  ///< the first `index_notes_max` remarks on paths
  std::vector<index_block> blocks;
  std::vector<index_group> groups;
  std::uint64_t taken_over_bytes = 0;  ///< of `bytes`
};

/// Whether a group begins with this path, where the group before it has so many entries.
[[nodiscard]] bool begins_group(std::string_view path, std::uint64_t entries_before);

/// How far a block reaches back: into its group or, from the first block, the group before.
inline constexpr std::uint64_t index_reach_bytes = 16 * 1024;

/// What a file takes in the tar, or a little less; 0 for a path that is left out.
[[nodiscard]] std::uint64_t least_tar_bytes(std::string_view path, std::uint64_t size_bytes);

inline constexpr std::size_t index_notes_max = 100;

struct index_settings {
  /// Modification time of every entry, in seconds since 1970. A constant and not the commit's
  /// time: else every commit would change every block.
  std::int64_t entry_time = 946'684'800;           // 2000-01-01
  std::uint64_t limit_bytes = 1024 * 1024 * 1024;  ///< of the result; address space until `take`
};

class index_builder {
public:
  explicit index_builder(index_settings settings = {});
  ~index_builder();
  index_builder(index_builder&&) noexcept;
  index_builder& operator=(index_builder&&) noexcept;

  /// Begins a file of `size_bytes`. False: the file is left out and noted, give it no bytes.
  [[nodiscard]] bool add(std::string_view path, bool executable, std::uint64_t size_bytes);
  /// The next bytes of the file begun last.
  void feed(std::string_view bytes);
  /// In place of the files of a group that is the same as in an earlier index (same paths, modes
  /// and bytes), and so is what the group before ends with, as far as the group can reach: its
  /// blocks as they are. The files before it are complete, and the next begins a group.
  /// Lifetime: all live until `step` asks for more.
  void take_over(std::string_view earlier_bytes,
                 const std::vector<index_block>& earlier_blocks,
                 const index_group& group);
  /// Begins a file of the group that was taken over just before, whose bytes are read once more
  /// since the next group is not taken over and may reach back. All files that the group ends with,
  /// in order, from the last one on which they take `index_reach_bytes` by `least_tar_bytes`, or
  /// all of the group. False: it stands not in the tar, give it no bytes.
  [[nodiscard]] bool recall(std::string_view path, bool executable, std::uint64_t size_bytes);
  /// Notes a thing that cannot stand in the index (a symbolic link, a submodule).
  void skip(std::string_view path, std::string_view why);
  /// No more files come.
  void finish();

  /// One piece of work. `done`: call `take`; `need_input`: call `feed`, `add` or `finish`.
  git_mem::step_result step();

  [[nodiscard]] std::uint64_t files() const noexcept;
  [[nodiscard]] std::uint64_t tar_bytes() const noexcept;
  [[nodiscard]] std::uint64_t output_bytes() const noexcept;

  /// The result, once, when `step` has said `done`.
  [[nodiscard]] index_result take();

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

/// The bytes of a range as text.
[[nodiscard]] inline std::string_view text_of(const git_mem::growing_range& range) noexcept {
  return {reinterpret_cast<const char*>(range.data()), static_cast<std::size_t>(range.size())};
}

/// Why a path cannot stand in a tarball that clients unpack; empty if it can.
[[nodiscard]] std::string_view path_fault(std::string_view path);

/// Whether the path fits a ustar header. The others need a pax header, on which `opam update` of
/// opam 2.6.1 gives up when the repository changes.
[[nodiscard]] bool fits_ustar(std::string_view path);

}  // namespace fermata::mirror
