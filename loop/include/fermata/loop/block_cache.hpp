// SPDX-License-Identifier: MIT
/// Memory for what lives shortly and is made often: frames, promises, waiters.
///
/// Shape:  blocks of up to 512 bytes in steps of 16 come from the thread's own slabs of 64 KiB,
///         each with blocks of one size, and up to 64 KiB of each size that came back last lie
///         ready on top. What is larger goes to the system. In a program with a sanitizer all goes
///         to the system, so that it sees every use after the end; the library decides it for all,
///         as a program may be instrumented where the library is not.
/// Keeps:  slabs with a block in use. One that is empty waits `keep_time` to be wanted again;
///         then a loop gives its memory back, 4 slabs a poll, and wakes up for that. A loop that
///         another drives does so within its turns; one on virtual time and a thread without a
///         loop not before the thread ends. Address space is kept.
/// Thread: any; a block may be freed on another thread than the one that took it, and returns to
///         that one, or to the thread that has its slabs once it has ended.
/// Throws: std::bad_alloc.
/// Cost:   2 ns to take or to give back what lies ready, 5 from a slab; malloc takes 7 to 20 ns.
#pragma once

#include <fermata/loop/time_source.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

namespace fermata::detail {

class slab_heap;

/// The free blocks of one thread.
class block_cache {
public:
  static constexpr std::size_t step_bytes = 16;
  static constexpr std::size_t largest_bytes = 512;
  static constexpr std::size_t kept_bytes = 64 * 1024;  // of each size
  static constexpr std::chrono::milliseconds keep_time{100};
  static constexpr std::size_t trim_slabs = 4;  // that one call of `trim` gives back

  [[nodiscard]] static void* take(std::size_t bytes) {
    if (bytes > largest_bytes) return ::operator new(bytes);
    const std::size_t i = size_class(bytes);
    shelf& s = of_thread_.shelves_[i];
    block* const b = s.first;
    if (b == nullptr) [[unlikely]]
      return take_more(i);
    s.first = b->next;
    ++s.room;
    return b;
  }
  static void give_back(void* p, std::size_t bytes) noexcept {
    if (bytes > largest_bytes) {
      ::operator delete(p);
      return;
    }
    give_back_to(size_class(bytes), p);
  }
  /// The same for who knows the size class of a block, of at most `largest_bytes`.
  static void give_back_to(std::size_t i, void* p) noexcept {
    shelf& s = of_thread_.shelves_[i];
    if (s.room == 0) [[unlikely]]
      return give_more(p);
    --s.room;
    s.first = new (p) block{s.first};
  }
  [[nodiscard]] static constexpr std::size_t size_class(std::size_t bytes) noexcept {
    return (bytes + step_bytes - 1) / step_bytes;
  }

  /// False in a program with a sanitizer.
  [[nodiscard]] static bool is_in_use() noexcept;
  /// Gives back a piece of what this thread has not wanted for `keep_time`.
  static void trim(time_point now) noexcept {
    if (now >= of_thread_.next_trim_) [[unlikely]]
      of_thread_.trim_slowly(now);
  }
  /// When there may be something to give back; `time_point::max()` where there will be nothing
  /// unless this thread goes on.
  [[nodiscard]] static time_point next_trim() noexcept { return of_thread_.next_trim_; }
  /// Bytes of the free blocks that lie ready, and of slabs that are empty.
  [[nodiscard]] static std::size_t bytes_kept() noexcept;

private:
  struct block {
    block* next;
  };
  struct shelf {
    block* first = nullptr;
    // Blocks that may come; none before the first, after the thread, and with a sanitizer.
    std::uint32_t room = 0;
  };
  static constexpr std::size_t sizes = largest_bytes / step_bytes + 1;
  static constexpr std::uint32_t room_of(std::size_t i) noexcept {
    return static_cast<std::uint32_t>(kept_bytes / (i * step_bytes));
  }
  static void* take_more(std::size_t i);
  static void give_more(void* p) noexcept;
  void trim_slowly(time_point now) noexcept;
  struct owner;

  std::array<shelf, sizes> shelves_{};
  time_point next_trim_ = time_point::max();
  time_point next_mark_ = time_point::min();
  slab_heap* heap_ = nullptr;  // from the thread's first block until its end begins
  // Small enough for the static block also where a program loads us later.
  [[gnu::tls_model("initial-exec")]] static thread_local constinit block_cache of_thread_;
};

/// A base whose derived objects live in cached blocks.
struct in_cached_block {
  static void* operator new(std::size_t bytes) { return block_cache::take(bytes); }
  static void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    try {
      return block_cache::take(bytes);
    } catch (...) {
      return nullptr;
    }
  }
  static void* operator new(std::size_t, void* at) noexcept { return at; }
  static void operator delete(void* p, std::size_t bytes) noexcept {
    block_cache::give_back(p, bytes);
  }
};

}  // namespace fermata::detail
