// SPDX-License-Identifier: MIT
// The slow way: a thread's first blocks, what it gives back, and its end.
//
// A mark puts all free blocks aside and dooms those that have been aside since the mark before.
// Who wants a block takes one from the shelf, else from aside, else a doomed one, else a new one.

#include <fermata/loop/block_cache.hpp>

#include <utility>

namespace fermata::detail {

namespace {

constexpr std::size_t blocks_at_once = 32;  // that go back to the shelf from aside

}  // namespace

// What a shelf has beside: all its blocks and its room are `limit` together.
struct block_cache::reserve {
  block* aside = nullptr;   // not wanted since the last mark
  block* doomed = nullptr;  // not wanted between the last two marks
  std::uint32_t limit = 0;

  static thread_local constinit std::array<reserve, sizes> of_thread;
  static thread_local constinit time_point next_mark;
};
thread_local constinit std::array<block_cache::reserve, block_cache::sizes>
    block_cache::reserve::of_thread{};
thread_local constinit time_point block_cache::reserve::next_mark = time_point::min();

[[gnu::tls_model("initial-exec")]] thread_local constinit block_cache block_cache::of_thread_;

// Made at a thread's first block, so that its destructor empties the shelves. What is freed later,
// by other destructors of the thread, goes to the system: there is no room any more.
struct block_cache::owner {
  owner() {
    block_cache& cache = of_thread_;
    for (std::size_t i = 1; i < sizes; ++i) {
      cache.shelves_[i].room = reserve::of_thread[i].limit = least(i);
    }
    cache.is_open_ = true;
  }
  ~owner() {
    for (std::size_t i = 1; i < sizes; ++i) {
      shelf& s = of_thread_.shelves_[i];
      reserve& r = reserve::of_thread[i];
      s.room = r.limit = 0;
      for (block** list : {&s.first, &r.aside, &r.doomed}) {
        while (*list != nullptr) ::operator delete(std::exchange(*list, (*list)->next));
      }
    }
  }
};

void* block_cache::take_more(std::size_t i) {
  block_cache& cache = of_thread_;
  if (!cache.is_open_) static thread_local owner at_exit;
  shelf& s = cache.shelves_[i];
  reserve& r = reserve::of_thread[i];
  block*& from = r.aside != nullptr ? r.aside : r.doomed;
  if (from != nullptr) {
    block* const b = std::exchange(from, from->next);
    for (std::size_t n = 1; n < blocks_at_once && from != nullptr; ++n) {
      block* const next = std::exchange(from, from->next);
      next->next = std::exchange(s.first, next);
    }
    ++s.room;
    return b;
  }
  void* const p = ::operator new(i == 0 ? 1 : i * step_bytes);
  if (i != 0 && r.limit != 0 && r.limit < most(i)) {
    ++s.room;
    ++r.limit;
    if (cache.next_trim_ == time_point::max()) cache.next_trim_ = time_point::min();
  }
  return p;
}

bool block_cache::has_extra() noexcept {
  for (std::size_t i = 1; i < sizes; ++i) {
    const std::uint32_t kept = reserve::of_thread[i].limit - of_thread_.shelves_[i].room;
    if (kept > least(i)) return true;
  }
  return false;
}

void block_cache::mark() noexcept {
  for (std::size_t i = 1; i < sizes; ++i) {
    shelf& s = shelves_[i];
    reserve& r = reserve::of_thread[i];
    if (r.limit <= least(i) || r.doomed != nullptr) continue;
    r.doomed = std::exchange(r.aside, std::exchange(s.first, nullptr));
  }
}

// What is doomed goes as long as the thread keeps more of that size than it always may.
void block_cache::trim_slowly(time_point now) noexcept {
  if (now >= reserve::next_mark) {
    mark();
    reserve::next_mark = now + keep_time;
  }
  std::size_t left = trim_blocks;
  for (std::size_t i = 1; i < sizes && left > 0; ++i) {
    reserve& r = reserve::of_thread[i];
    while (left > 0 && r.doomed != nullptr && r.limit - shelves_[i].room > least(i)) {
      ::operator delete(std::exchange(r.doomed, r.doomed->next));
      --r.limit;
      --left;
    }
  }
  next_trim_ = left == 0 ? now : reserve::next_mark;
}

std::size_t block_cache::bytes_kept() noexcept {
  std::size_t bytes = 0;
  for (std::size_t i = 1; i < sizes; ++i) {
    bytes += (reserve::of_thread[i].limit - of_thread_.shelves_[i].room) * i * step_bytes;
  }
  return bytes;
}

}  // namespace fermata::detail
