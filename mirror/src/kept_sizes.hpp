// SPDX-License-Identifier: MIT
// How long each archive was when it was verified, and when all were, in a file that survives a
// restart. What has a checksum never changes its size, so what is in it stays true.
//
// Shape:  a file with a checksum over all of it, written beside and renamed. One that is damaged is
//         renamed to NAME.refused.
// Pauses: never; both block on the disk: for the pool.
// Throws: `save_sizes` alone, `error` for what the disk refuses.
#pragma once

#include <fermata/mirror/archive_hash.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace fermata::mirror {

using archive_sizes = std::map<archive_hash, std::uint64_t>;  // by sha256

struct kept_sizes {
  archive_sizes of;
  std::chrono::sys_seconds checked{};  ///< the end of the last look through all; 0: none
  std::string refused;                 ///< why nothing is known
};

[[nodiscard]] kept_sizes load_sizes(const std::string& path);
void save_sizes(const std::string& path, const kept_sizes& what);

}  // namespace fermata::mirror
