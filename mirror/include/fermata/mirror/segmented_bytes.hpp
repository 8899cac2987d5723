// SPDX-License-Identifier: MIT
/// Bytes that grow at the end and are never moved, in segments of 64 KiB.
///
/// Shape:  one writer appends; afterwards the bytes are shared as they are, often by
///         `std::shared_ptr<const ...>`.
/// Pauses: never.
/// Thread: any, one at a time while it grows; many readers afterwards.
/// Cost:   one allocation a segment, no copy of what is there.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fermata::mirror {

class segmented_bytes {
public:
  static constexpr std::size_t segment_size_bytes = 64 * 1024;

  segmented_bytes() = default;
  segmented_bytes(segmented_bytes&& other) noexcept
      : segments_(std::move(other.segments_)), size_(std::exchange(other.size_, 0)) {}
  segmented_bytes& operator=(segmented_bytes&& other) noexcept {
    segments_ = std::move(other.segments_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  /// Room to write the next bytes into, never empty; `commit` then makes them count.
  [[nodiscard]] std::span<char> spare() {
    const std::size_t used = size_ % segment_size_bytes;
    if (size_ == segments_.size() * segment_size_bytes) {
      segments_.push_back(std::make_unique_for_overwrite<char[]>(segment_size_bytes));
    }
    return {segments_.back().get() + used, segment_size_bytes - used};
  }
  void commit(std::size_t bytes) noexcept { size_ += bytes; }

  void append(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::span<char> room = spare();
      const std::size_t n = std::min(room.size(), bytes.size());
      std::memcpy(room.data(), bytes.data(), n);
      commit(n);
      bytes.remove_prefix(n);
    }
  }

  /// What lies together from `offset` on: at most `most_bytes`, empty at the end only.
  [[nodiscard]] std::string_view piece(std::uint64_t offset,
                                       std::uint64_t most_bytes = segment_size_bytes) const {
    if (offset >= size_) return {};
    const std::uint64_t within = offset % segment_size_bytes;
    const std::uint64_t n = std::min({most_bytes, segment_size_bytes - within, size_ - offset});
    return {segments_[offset / segment_size_bytes].get() + within, static_cast<std::size_t>(n)};
  }

  /// All of it in one string; a copy, for small things and tests.
  [[nodiscard]] std::string str() const {
    std::string all;
    all.reserve(size_);
    while (all.size() < size_) all += piece(all.size());
    return all;
  }

private:
  std::vector<std::unique_ptr<char[]>> segments_;  // all full but the last
  std::uint64_t size_ = 0;
};

}  // namespace fermata::mirror
