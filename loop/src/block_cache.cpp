// SPDX-License-Identifier: MIT
// The slow way: a thread's first blocks, and its end.

#include <fermata/loop/block_cache.hpp>

namespace fermata::detail {

thread_local constinit block_cache block_cache::of_thread_;

// Made at a thread's first block, so that its destructor empties the shelves. What is freed later,
// by other destructors of the thread, goes to the system: there is no room any more.
struct block_cache::owner {
  owner() {
    block_cache& cache = of_thread_;
    for (std::size_t i = 1; i <= largest_bytes / step_bytes; ++i) {
      cache.shelves_[i].room = static_cast<std::uint32_t>(kept_bytes / (i * step_bytes));
    }
    cache.is_open_ = true;
  }
  ~owner() {
    for (shelf& s : of_thread_.shelves_) {
      s.room = 0;
      while (s.first != nullptr) {
        block* const b = s.first;
        s.first = b->next;
        ::operator delete(b);
      }
    }
  }
};

void* block_cache::take_new(std::size_t i) {
  if (!of_thread_.is_open_) static thread_local owner at_exit;
  return ::operator new(i == 0 ? 1 : i * step_bytes);
}

}  // namespace fermata::detail
