// SPDX-License-Identifier: MIT
// What a saved store looks like. After the line each section is: a tag of 8 letters, its length (8
// bytes, all numbers little-endian), the content, and the SHA-1 of all three.
//
//   refs      for each: id, length of the name (2), name, length of the target (2), target
//   shallow   ids
//   partial   nothing; it is there where a filter left out objects
//   pack      a pack as it came                } for each pack, the oldest first, so that what a
//   entries   32 bytes for each of its entries } base may be has been read
//   end       nothing
#pragma once

#include <fermata/git_mem/pack.hpp>

#include <array>
#include <cstdint>
#include <string_view>

namespace fermata::git_mem::saved {

inline constexpr std::string_view first_line = "fermata git store 1\n";
inline constexpr std::string_view line_begin = "fermata git store ";
inline constexpr std::size_t tag_bytes = 8;
inline constexpr std::size_t head_bytes = tag_bytes + 8;
inline constexpr std::size_t entry_bytes = 32;

using entry_record = std::array<std::uint8_t, entry_bytes>;

inline void put(std::uint8_t* to, std::uint64_t n, int bytes) noexcept {
  for (int i = 0; i < bytes; ++i) to[i] = static_cast<std::uint8_t>(n >> (8 * i));
}
[[nodiscard]] inline std::uint64_t get(const std::uint8_t* from, int bytes) noexcept {
  std::uint64_t n = 0;
  for (int i = 0; i < bytes; ++i) n |= std::uint64_t{from[i]} << (8 * i);
  return n;
}

// id 20, size 4, offset 5, depth 2, kind and delta 1
inline void put_entry(std::uint8_t* to, const pack_entry& e) noexcept {
  std::memcpy(to, e.id.data(), object_id::size_bytes);
  put(to + 20, e.size, 4);
  put(to + 24, e.offset, 5);
  put(to + 29, e.depth, 2);
  to[31] = static_cast<std::uint8_t>(e.kind | (e.delta << 3));
}
[[nodiscard]] inline pack_entry get_entry(const std::uint8_t* from) noexcept {
  pack_entry e;
  e.id = object_id::from_bytes(from);
  e.size = static_cast<std::uint32_t>(get(from + 20, 4));
  e.offset = get(from + 24, 5) & 0xffffffffff;
  e.depth = get(from + 29, 2) & 4095;
  e.kind = from[31] & 7;
  e.delta = (from[31] >> 3) & 1;
  return e;
}

}  // namespace fermata::git_mem::saved
