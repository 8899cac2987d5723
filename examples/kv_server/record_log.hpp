// SPDX-License-Identifier: MIT
/// The file that makes a store last: a record for each SET, appended and synced in groups.
///
/// Shape:    a record is the CRC-32 of what follows, the sizes of key and value (4 bytes each,
///           least first), the key and the value. The log only grows.
/// Recovery: what a crash left unfinished at the end is cut off. As nothing was acknowledged of it,
///           it is less than a group: where more would be cut, the file is damaged, and not opened.
/// Pauses:   after each record that is read or written; the file is touched on the pool.
/// Thread:   loop.
#pragma once

#include <fermata/promise/file.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace kv {

inline constexpr std::size_t longest_line = 4096;  // so also more than a key and its value have
inline constexpr std::size_t most_queued = 120;

using values = std::unordered_map<std::string, std::string>;

class record_log {
public:
  static constexpr std::size_t header_bytes = 12;
  static constexpr std::size_t most_group_bytes = most_queued * (header_bytes + longest_line);

  /// Opens or makes the log at `path` and plays it into `into`.
  /// Rejects: `error` (`cannot open kv.log: byte 120: a damaged record, and 600000 bytes behind
  ///          it`).
  static fermata::promise<record_log> open(std::string path, values& into);

  /// Resolves when all of `records` is on disk. One call at once; after a rejection nobody knows
  /// what is: the log is of no use any more.
  fermata::promise<> append(std::string_view records);

private:
  record_log(fermata::file f, std::uint64_t end) noexcept : file_(std::move(f)), end_(end) {}
  fermata::file file_;
  std::uint64_t end_;
};

/// Appends the record of one SET to `records`.
void add_record(std::string& records, std::string_view key, std::string_view value);

}  // namespace kv
