// SPDX-License-Identifier: MIT
// The slow way: a thread's slabs, what it gives back, and its end.

#include "slabs.hpp"

#include <fermata/loop/block_cache.hpp>

#include <algorithm>
#include <utility>

// Each is there where the program has the sanitizer's runtime.
extern "C" {
[[gnu::weak]] void __asan_init();
[[gnu::weak]] void __hwasan_init();
[[gnu::weak]] void __lsan_init();
[[gnu::weak]] void __msan_init();
[[gnu::weak]] void __tsan_init();
}

namespace fermata::detail {

[[gnu::tls_model("initial-exec")]] thread_local constinit block_cache block_cache::of_thread_;

// Made at a thread's first block, so that its destructor empties the shelves. What is freed later,
// by other destructors of the thread, goes to the mailbox of its heap: there is no room any more.
struct block_cache::owner {
  owner() {
    of_thread_.heap_ = &slab_heap::lease();
    for (std::size_t i = 1; i < sizes; ++i) of_thread_.shelves_[i].room = room_of(i);
  }
  ~owner() {
    slab_heap* const heap = std::exchange(of_thread_.heap_, nullptr);
    of_thread_.next_trim_ = time_point::max();
    for (shelf& s : of_thread_.shelves_) {
      s.room = 0;
      while (s.first != nullptr) slab_heap::give_back(heap, std::exchange(s.first, s.first->next));
    }
    heap->end_lease();
  }
};

bool block_cache::is_in_use() noexcept {
  return __asan_init == nullptr && __hwasan_init == nullptr && __lsan_init == nullptr &&
         __msan_init == nullptr && __tsan_init == nullptr;
}

void* block_cache::take_more(std::size_t i) {
  i = std::max<std::size_t>(i, 1);
  if (of_thread_.heap_ != nullptr) [[likely]]
    return of_thread_.heap_->take(i);
  const std::size_t bytes = i * step_bytes;
  if (!is_in_use()) return ::operator new(bytes);
  static thread_local owner at_exit;
  if (of_thread_.heap_ != nullptr) return of_thread_.heap_->take(i);
  struct for_once {  // the thread is ending
    slab_heap& heap = slab_heap::lease();
    ~for_once() { heap.end_lease(); }
  } lent;
  return lent.heap.take(i);
}

void block_cache::give_more(void* p) noexcept {
  block_cache& cache = of_thread_;
  if (cache.heap_ == nullptr && !is_in_use()) return ::operator delete(p);
  slab_heap::give_back(cache.heap_, p);
  if (cache.next_trim_ == time_point::max() && cache.heap_ != nullptr && cache.heap_->idle() > 0) {
    cache.next_trim_ = time_point::min();
  }
}

void block_cache::trim_slowly(time_point now) noexcept {
  heap_->collect();
  if (now >= next_mark_) {
    heap_->mark();
    next_mark_ = now + keep_time;
  }
  const bool is_more = heap_->give_to_system(trim_slabs);
  next_trim_ = is_more ? now : heap_->idle() > 0 ? next_mark_ : time_point::max();
}

std::size_t block_cache::bytes_kept() noexcept {
  const block_cache& cache = of_thread_;
  if (cache.heap_ == nullptr) return 0;
  std::size_t bytes = cache.heap_->idle() * slab_heap::slab_bytes;
  for (std::size_t i = 1; i < sizes; ++i) {
    bytes += (room_of(i) - cache.shelves_[i].room) * i * step_bytes;
  }
  return bytes;
}

}  // namespace fermata::detail
