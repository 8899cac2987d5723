// SPDX-License-Identifier: MIT
#include "pack_index.hpp"

#include <fermata/git_mem/naming.hpp>

#include <algorithm>
#include <array>
#include <span>

namespace fermata::git_mem {

namespace {

constexpr std::uint64_t large_offset = std::uint64_t{1} << 31;

void put(std::vector<std::uint8_t>& to, std::uint64_t n, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    to.push_back(static_cast<std::uint8_t>(n >> shift));
  }
}

void put(std::vector<std::uint8_t>& to, const object_id& id) {
  to.insert(to.end(), id.data(), id.data() + object_id::size_bytes);
}

}  // namespace

void write_index(file_writer& to,
                 std::vector<index_entry> entries,
                 const object_id& pack_checksum) {
  std::sort(entries.begin(), entries.end(),
            [](const index_entry& a, const index_entry& b) { return a.id < b.id; });
  std::vector<std::uint8_t> out = {0xff, 't', 'O', 'c', 0, 0, 0, 2};
  std::array<std::uint32_t, 256> below{};
  for (const index_entry& e : entries) ++below[e.id.data()[0]];
  std::uint32_t sum = 0;
  for (const std::uint32_t n : below) put(out, sum += n, 4);
  for (const index_entry& e : entries) put(out, e.id);
  for (const index_entry& e : entries) put(out, e.crc, 4);
  std::vector<std::uint64_t> large;
  for (const index_entry& e : entries) {
    if (e.offset < large_offset) {
      put(out, e.offset, 4);
    } else {
      put(out, large_offset | large.size(), 4);
      large.push_back(e.offset);
    }
  }
  for (const std::uint64_t offset : large) put(out, offset, 8);
  put(out, pack_checksum);
  checksum whole;
  whole.update(out);
  put(out, whole.finish());
  to.write(out);
}

}  // namespace fermata::git_mem
