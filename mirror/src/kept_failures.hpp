// SPDX-License-Identifier: MIT
// What is known of downloads that failed, in a file that survives a restart.
//
// Shape:  a file with a checksum over all of it, written beside and renamed. One that is damaged is
//         renamed to NAME.refused, one that was written under other settings is ignored: those may
//         be what was missing.
// Pauses: never; both block on the disk: for the pool.
// Throws: `error` for what the disk refuses, never for what the file holds.
#pragma once

#include <fermata/mirror/archive_hash.hpp>

#include <chrono>
#include <cstddef>
#include <map>
#include <string>

namespace fermata::mirror {

struct kept_failure {
  std::string url;  ///< the declared one
  std::string reason;
  std::string text;
  bool is_lasting = false;
  std::uint64_t needed_bytes = 0;  ///< of the store; 0: it waits for its time
  std::size_t tries = 0;
  std::chrono::sys_seconds since;
  std::chrono::sys_seconds next_try;
};

using kept_failures = std::map<archive_hash, kept_failure>;

struct loaded_failures {
  kept_failures found;
  std::string refused;  ///< why there are none
};

[[nodiscard]] loaded_failures load_failures(const std::string& path, const std::string& settings);

void save_failures(const std::string& path, const std::string& settings, const kept_failures& what);

}  // namespace fermata::mirror
