// SPDX-License-Identifier: MIT
// The index of a pack as git keeps it beside the pack (version 2).
#pragma once

#include "file_io.hpp"

#include <fermata/git_mem/object_id.hpp>

#include <cstdint>
#include <vector>

namespace fermata::git_mem {

struct index_entry {
  object_id id;
  std::uint64_t offset = 0;
  std::uint32_t crc = 0;  // of the entry's bytes in the pack
};

// Sorts the entries and writes them. Thread: any but a loop's.
void write_index(file_writer& to, std::vector<index_entry> entries, const object_id& pack_checksum);

}  // namespace fermata::git_mem
