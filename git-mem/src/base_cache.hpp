// SPDX-License-Identifier: MIT
// The recent objects of a pack, as bases for the deltas that follow.
//
// A ring of bytes: objects are inflated straight into it, the oldest are overwritten, and nothing
// is ever allocated or freed on the way. An object used from the older half is copied to the front,
// which makes it near enough to least recently used. Positions grow for ever; a slot is alive while
// its position is within one ring of the head.

#pragma once

#include <fermata/git_mem/memory.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace fermata::git_mem::detail {

class base_cache {
public:
  explicit base_cache(std::uint64_t bytes)
      : capacity_(std::max<std::uint64_t>(bytes, 64 * 1024)),
        largest_(std::min<std::uint64_t>(capacity_ / 8, 512 * 1024)),
        ring_(capacity_),
        slot_memory_(slot_count * sizeof(slot)) {
    ring_.extend(capacity_);
    slot_memory_.extend(slot_count * sizeof(slot));
  }

  // Larger objects are not kept.
  [[nodiscard]] std::uint64_t largest() const noexcept { return largest_; }

  // Room for at most `largest` bytes at the front; `keep` makes it an object.
  [[nodiscard]] std::uint8_t* reserve(std::uint64_t size) noexcept {
    const std::uint64_t used = head_ % capacity_;
    start_ = used + size > capacity_ ? head_ + (capacity_ - used) : head_;
    return at(start_);
  }

  // What was written at the last `reserve` is object `number`.
  void keep(std::uint32_t number, std::uint64_t size) noexcept {
    slot_of(number) = {start_, number, 1};
    head_ = start_ + (size + 15) / 16 * 16;
  }

  // Where that is.
  [[nodiscard]] std::uint64_t kept_at() const noexcept { return start_; }
  // What was kept there is not overwritten before the next look at this.
  [[nodiscard]] bool is_safe(std::uint64_t position) const noexcept {
    return head_ < position || head_ - position <= capacity_ / 2;
  }

  // Its `size` bytes, or null. They stay through the next `reserve`: that writes less than a
  // quarter of the ring past the head (twice `largest`, with the skip over the end).
  [[nodiscard]] const std::uint8_t* find(std::uint32_t number, std::uint64_t size) noexcept {
    const slot s = slot_of(number);
    if (s.used == 0 || s.number != number || head_ > s.position + capacity_) return nullptr;
    if (head_ - s.position <= capacity_ / 2) return at(s.position);
    const std::uint8_t* const from = at(s.position);
    std::uint8_t* const to = reserve(size);
    std::memmove(to, from, size);  // the places may overlap
    keep(number, size);
    return to;
  }

  bool release_slice() noexcept { return ring_.release_slice() || slot_memory_.release_slice(); }

private:
  static constexpr std::size_t slot_count = 32768;
  struct slot {  // all zero at first, where nothing is touched yet
    std::uint64_t position;
    std::uint32_t number;
    std::uint32_t used;
  };

  [[nodiscard]] slot& slot_of(std::uint32_t number) noexcept {
    return reinterpret_cast<slot*>(slot_memory_.data())[number % slot_count];
  }

  [[nodiscard]] std::uint8_t* at(std::uint64_t position) noexcept {
    return ring_.data() + position % capacity_;
  }

  std::uint64_t capacity_;
  std::uint64_t largest_;
  growing_range ring_;
  growing_range slot_memory_;
  std::uint64_t head_ = 0;
  std::uint64_t start_ = 0;
};

}  // namespace fermata::git_mem::detail
