// SPDX-License-Identifier: MIT
// Blocks of one size side by side: where blocks come from that no shelf of `block_cache` has, and
// where they go that it does not keep.
//
// A slab is 64 KiB of blocks of one size with a free list of its own. So blocks that are made one
// after the other are neighbours in memory, in whatever order the ones before have come back, and
// a slab that is empty again can go to the system. (After "Mimalloc: Free List Sharding in Action",
// Leijen, Zorn and de Moura, 2019.) A heap owns slabs and serves one thread at a time. Who frees a
// block of another thread's heap leaves it in that heap's mailbox. A heap outlives its thread: the
// next new thread takes it over with all that is still in use.
//
// Throws: std::bad_alloc where the system has no more; nothing else.
// Cost:   3 to 5 ns a block; a slab at its first use one page fault for each 4 KiB.
#pragma once

#include <fermata/loop/block_cache.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace fermata::detail {

class slab_heap {
public:
  static constexpr std::size_t slab_bytes = 64 * 1024;
  static constexpr std::size_t step_bytes = block_cache::step_bytes;
  static constexpr std::size_t size_classes =
      block_cache::size_class(block_cache::largest_bytes) + 1;  // the first is not used

  /// A heap that nobody has, else a new one. It is never destroyed.
  [[nodiscard]] static slab_heap& lease();
  /// The thread ends, or needs it no more: what is empty goes back to the system.
  void end_lease() noexcept;

  [[nodiscard]] void* take(std::size_t size_class);
  /// Gives `p` back to the heap that it is of, from the thread that has `mine` (null: it has none).
  static void give_back(slab_heap* mine, void* p) noexcept;

  /// Slabs that are empty, and wait to be wanted again.
  [[nodiscard]] std::size_t idle() const noexcept { return idle_count_; }
  /// From now on `give_to_system` takes as many as have not been wanted since the last mark.
  void mark() noexcept;
  /// Up to `most` of those; true while there are more.
  bool give_to_system(std::size_t most) noexcept;
  /// Takes in some of the blocks that other threads have given back.
  void collect() noexcept;

private:
  struct block {
    block* next;
  };
  struct slab;
  struct source;

  slab_heap() noexcept;
  [[nodiscard]] void* take_elsewhere(std::size_t size_class);
  [[nodiscard]] slab& empty_slab(std::size_t size_class);
  void put(slab& s, void* p) noexcept;
  void list(slab& s) noexcept;
  void unlist(slab& s) noexcept;
  [[nodiscard]] slab& pop_idle() noexcept;
  void push_idle(slab& s) noexcept;

  std::array<slab*, size_classes> current_;    // from which blocks are taken; never null
  std::array<slab*, size_classes> partial_{};  // others that have some free
  slab* idle_ = nullptr;
  std::size_t idle_count_ = 0;
  std::size_t least_idle_ = 0;  // since the last mark
  std::size_t surplus_ = 0;     // not wanted between the last two marks
  block* arrived_ = nullptr;    // of the mailbox, not put into their slabs yet
  slab_heap* next_free_ = nullptr;
  alignas(64) std::atomic<block*> mailbox_{nullptr};

  static source source_;
  static slab nothing_;  // the current slab of who has none
};

}  // namespace fermata::detail
