// SPDX-License-Identifier: MIT
/// Memory for large data: ranges that grow without copying, and blocks that are freed in slices.
///
/// Pauses: never. Unmapping a page costs about 0.1 us, so 100 MB freed in one call hold the thread
///         for milliseconds: call `release_slice` until it returns false, then destroy.
/// Thread: any, one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fermata::git_mem {

/// Address space that is reserved at once and filled from the front; nothing ever moves.
///
/// Throws: `failure` (reason::limit) when `append` would pass the limit; std::bad_alloc.
class growing_range {
public:
  growing_range() = default;
  /// Reserves address space for all of it; where RLIMIT_AS is set, for a quarter of that at most.
  explicit growing_range(std::uint64_t limit_bytes);
  growing_range(growing_range&& other) noexcept;
  growing_range& operator=(growing_range&& other) noexcept;
  ~growing_range();

  /// Copies `bytes` to the end. Cost: 64 KiB take about 15 us.
  void append(std::span<const std::byte> bytes);

  /// Makes `bytes` zero bytes usable at the end (memory is only used where it is touched).
  void extend(std::uint64_t bytes);

  /// Gives back the address space behind the end; the range no longer grows.
  void seal() noexcept;

  /// Unmaps up to 512 KiB at the end; true while there is more. The bytes are gone.
  bool release_slice() noexcept;

  [[nodiscard]] const std::uint8_t* data() const noexcept { return base_; }
  [[nodiscard]] std::uint8_t* data() noexcept { return base_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }

private:
  void grow_usable(std::uint64_t end);

  std::uint8_t* base_ = nullptr;
  std::uint64_t size_ = 0;
  std::uint64_t usable_ = 0;    // bytes that may be touched, whole pages
  std::uint64_t reserved_ = 0;  // bytes of address space
  std::uint64_t limit_ = 0;
};

/// A block of bytes, not initialised; over 512 KiB it is mapped and can be freed in slices. Of
/// blocks of 32 to 512 KiB that are freed each thread keeps the last, 1 MiB together, for those
/// that follow: where memory is new each page costs a fault. (Not under AddressSanitizer.)
class byte_block {
public:
  byte_block() = default;
  explicit byte_block(std::size_t size);  ///< Throws: std::bad_alloc.
  byte_block(byte_block&& other) noexcept;
  byte_block& operator=(byte_block&& other) noexcept;
  ~byte_block();

  /// Frees up to 512 KiB at the end; true while there is more. The bytes are gone.
  bool release_slice() noexcept;

  [[nodiscard]] std::uint8_t* data() noexcept { return data_; }
  [[nodiscard]] const std::uint8_t* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
  void free_memory() noexcept;

  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;    // 0: from malloc
  std::size_t capacity_ = 0;  // of what is from malloc
};

}  // namespace fermata::git_mem
