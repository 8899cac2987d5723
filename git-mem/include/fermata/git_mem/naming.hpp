// SPDX-License-Identifier: MIT
/// Names objects: SHA-1 over type, size and content, with detection of collision attacks.
///
/// Shape:  `name_object` in one call for small objects; `object_namer` in slices for large ones.
/// Pauses: never. 32 KiB take about 27 us (sha1.hpp): cut larger objects.
/// Thread: any; an `object_namer` belongs to one at a time.
/// Throws: `failure` (reason::corrupt) for content made for a collision (SHAttered, SHA-mbles),
///         unless told to be fast.
#pragma once

#include <fermata/git_mem/object_id.hpp>
#include <fermata/git_mem/sha1.hpp>

#include <cstdint>
#include <span>

namespace fermata::git_mem {

/// The name of an object whose whole content is at hand.
[[nodiscard]] object_id name_object(object_type type,
                                    std::span<const std::uint8_t> content,
                                    verify how = verify::collisions);

/// The name of an object whose content comes in pieces.
class object_namer {
public:
  object_namer(object_type type, std::uint64_t size, verify how = verify::collisions);

  void update(std::span<const std::uint8_t> piece) noexcept { hash_.update(piece); }

  /// Shape: once, after exactly the size that was declared.
  [[nodiscard]] object_id finish() { return hash_.finish(); }

private:
  sha1 hash_;
};

/// Guards against accidents only (the end of a pack).
using checksum = sha1;

}  // namespace fermata::git_mem
