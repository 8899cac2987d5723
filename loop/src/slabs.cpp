// SPDX-License-Identifier: MIT
// Slabs lie in chunks of 4 MiB, at addresses that are multiples of that: so a block's slab is found
// by its address. The first page of a chunk describes its slabs, 64 bytes each. Chunks are never
// unmapped; of slabs that are given back the pages go to the system.

#include "slabs.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>

namespace fermata::detail {

namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t chunk_bytes = std::size_t{4} << 20;
constexpr std::size_t collected_at_once = 64;

std::uintptr_t chunk_of(const void* p) noexcept {
  return reinterpret_cast<std::uintptr_t>(p) & ~(chunk_bytes - 1);
}

}  // namespace

struct alignas(64) slab_heap::slab {
  slab_heap* owner;
  block* free;
  std::byte* fresh;  // blocks from here to `end` have not been used yet
  std::byte* end;
  slab* next;
  slab* previous;
  std::uint32_t used;
  std::uint16_t size_class;
  bool is_listed;

  [[nodiscard]] static slab& of(const void* p) noexcept {
    const std::uintptr_t begin = chunk_of(p);
    return reinterpret_cast<slab*>(
        begin)[(reinterpret_cast<std::uintptr_t>(p) - begin) / slab_bytes];
  }
  [[nodiscard]] std::byte* begin() noexcept {
    auto* const first = reinterpret_cast<slab*>(chunk_of(this));
    auto* const at = reinterpret_cast<std::byte*>(first) + (this - first) * slab_bytes;
    return this == first ? at + page_bytes : at;
  }
  [[nodiscard]] std::byte* limit() noexcept {
    auto* const first = reinterpret_cast<slab*>(chunk_of(this));
    return reinterpret_cast<std::byte*>(first) + (this - first + 1) * slab_bytes;
  }
  [[nodiscard]] bool has_some() const noexcept { return free != nullptr || fresh != end; }
  [[nodiscard]] void* pop() noexcept {
    ++used;
    if (free != nullptr) return std::exchange(free, free->next);
    return std::exchange(fresh, fresh + size_class * step_bytes);
  }
};

// What all heaps share.
struct slab_heap::source {
  std::mutex guard;
  slab* cold = nullptr;  // without memory
  slab* next_of_chunk = nullptr;
  slab* end_of_chunk = nullptr;
  slab_heap* free_heaps = nullptr;

  [[nodiscard]] slab& take() {
    const std::lock_guard lock(guard);
    if (cold != nullptr) return *std::exchange(cold, cold->next);
    if (next_of_chunk == end_of_chunk) map_chunk();
    return *next_of_chunk++;
  }
  void give_back(slab& s) noexcept {
    ::madvise(s.begin(), static_cast<std::size_t>(s.limit() - s.begin()), MADV_DONTNEED);
    const std::lock_guard lock(guard);
    s.next = std::exchange(cold, &s);
  }

private:
  void map_chunk() {
    void* const at = ::mmap(nullptr, 2 * chunk_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    auto* const from = static_cast<std::byte*>(at);
    const std::size_t before =
        (chunk_bytes - (reinterpret_cast<std::uintptr_t>(at) - chunk_of(at))) % chunk_bytes;
    if (before > 0) ::munmap(from, before);
    ::munmap(from + before + chunk_bytes, chunk_bytes - before);
    // One fault of a huge page would clear 2 MiB, and count as used in whole.
    ::madvise(from + before, chunk_bytes, MADV_NOHUGEPAGE);
    next_of_chunk = reinterpret_cast<slab*>(from + before);
    end_of_chunk = next_of_chunk + chunk_bytes / slab_bytes;
  }
};

constinit slab_heap::source slab_heap::source_{};
constinit slab_heap::slab slab_heap::nothing_{};

slab_heap::slab_heap() noexcept {
  static_assert(sizeof(slab) == 64 && chunk_bytes / slab_bytes * sizeof(slab) <= page_bytes);
  current_.fill(&nothing_);
}

slab_heap& slab_heap::lease() {
  const std::lock_guard lock(source_.guard);
  slab_heap* const known = source_.free_heaps;
  if (known == nullptr) return *new slab_heap;
  source_.free_heaps = known->next_free_;
  return *known;
}

void slab_heap::end_lease() noexcept {
  for (slab*& s : current_) {
    if (s == &nothing_ || s->used > 0) continue;
    push_idle(*s);
    s = &nothing_;
  }
  while (idle_ != nullptr) source_.give_back(pop_idle());
  const std::lock_guard lock(source_.guard);
  next_free_ = std::exchange(source_.free_heaps, this);
}

void* slab_heap::take(std::size_t size_class) {
  slab& s = *current_[size_class];
  return s.has_some() ? s.pop() : take_elsewhere(size_class);
}

void* slab_heap::take_elsewhere(std::size_t size_class) {
  collect();
  slab*& now = current_[size_class];
  if (!now->has_some()) {
    slab* const other = partial_[size_class];
    if (other != nullptr) unlist(*other);
    now = other != nullptr ? other : &empty_slab(size_class);
  }
  return now->pop();
}

slab_heap::slab& slab_heap::empty_slab(std::size_t size_class) {
  slab& s = idle_ != nullptr ? pop_idle() : source_.take();
  const std::size_t bytes = size_class * step_bytes;
  std::byte* const begin = s.begin();
  std::byte* const end = begin + static_cast<std::size_t>(s.limit() - begin) / bytes * bytes;
  return *new (&s)
      slab{this, nullptr, begin, end, nullptr, nullptr, 0, static_cast<std::uint16_t>(size_class),
           false};
}

void slab_heap::give_back(slab_heap* mine, void* p) noexcept {
  slab& s = slab::of(p);
  if (s.owner == mine) return mine->put(s, p);
  std::atomic<block*>& to = s.owner->mailbox_;
  auto* const b = new (p) block{to.load(std::memory_order_relaxed)};
  while (
      !to.compare_exchange_weak(b->next, b, std::memory_order_release, std::memory_order_relaxed)) {
  }
}

void slab_heap::put(slab& s, void* p) noexcept {
  s.free = new (p) block{s.free};
  --s.used;
  if (&s == current_[s.size_class]) return;
  if (s.used == 0) {
    if (s.is_listed) unlist(s);
    push_idle(s);
  } else if (!s.is_listed) {
    list(s);
  }
}

void slab_heap::collect() noexcept {
  if (arrived_ == nullptr && mailbox_.load(std::memory_order_relaxed) != nullptr) {
    arrived_ = mailbox_.exchange(nullptr, std::memory_order_acquire);
  }
  for (std::size_t n = 0; n < collected_at_once && arrived_ != nullptr; ++n) {
    block* const b = std::exchange(arrived_, arrived_->next);
    put(slab::of(b), b);
  }
}

void slab_heap::list(slab& s) noexcept {
  slab*& first = partial_[s.size_class];
  s.is_listed = true;
  s.previous = nullptr;
  s.next = first;
  if (first != nullptr) first->previous = &s;
  first = &s;
}

void slab_heap::unlist(slab& s) noexcept {
  (s.previous != nullptr ? s.previous->next : partial_[s.size_class]) = s.next;
  if (s.next != nullptr) s.next->previous = s.previous;
  s.is_listed = false;
}

void slab_heap::push_idle(slab& s) noexcept {
  s.next = std::exchange(idle_, &s);
  ++idle_count_;
}

slab_heap::slab& slab_heap::pop_idle() noexcept {
  --idle_count_;
  least_idle_ = std::min(least_idle_, idle_count_);
  surplus_ = std::min(surplus_, idle_count_);
  return *std::exchange(idle_, idle_->next);
}

void slab_heap::mark() noexcept { surplus_ = std::exchange(least_idle_, idle_count_); }

bool slab_heap::give_to_system(std::size_t most) noexcept {
  for (std::size_t n = 0; n < most && surplus_ > 0; ++n) {
    --surplus_;
    source_.give_back(pop_idle());
  }
  return surplus_ > 0;
}

}  // namespace fermata::detail
