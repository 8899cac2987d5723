// SPDX-License-Identifier: MIT
/// Names objects: SHA-1 over type, size and content, with detection of collision attacks.
///
/// Shape:  `name_object` in one call for small objects; `object_namer` in slices for large ones.
/// Pauses: never. 32 KiB take about 50 us: cut larger objects.
/// Thread: any; an `object_namer` belongs to one at a time.
/// Throws: `failure` (reason::corrupt) for content made for a collision (SHAttered, SHA-mbles).
#pragma once

#include <fermata/git_mem/object_id.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace fermata::git_mem {

/// Loads what the first use would load (libgit2, the hash of OpenSSL): 3-5 ms. Call it before a
/// service opens.
void prepare();

/// The name of an object whose whole content is at hand.
[[nodiscard]] object_id name_object(object_type type, std::span<const std::uint8_t> content);

/// The name of an object whose content comes in pieces.
class object_namer {
public:
  object_namer(object_type type, std::uint64_t size);
  object_namer(object_namer&&) noexcept;
  object_namer& operator=(object_namer&&) noexcept;
  ~object_namer();

  void update(std::span<const std::uint8_t> piece);

  /// Shape: once, after exactly the size that was declared.
  [[nodiscard]] object_id finish();

private:
  struct stream;
  std::unique_ptr<stream> stream_;
};

/// Plain SHA-1 for checksums that guard against accidents only (the end of a pack): 15 us a 32 KiB.
class checksum {
public:
  checksum();
  checksum(checksum&&) noexcept;
  checksum& operator=(checksum&&) noexcept;
  ~checksum();

  void update(std::span<const std::uint8_t> piece);
  [[nodiscard]] object_id finish();

private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace fermata::git_mem
