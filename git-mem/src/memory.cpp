// SPDX-License-Identifier: MIT
// Anonymous mappings. Address space is reserved with PROT_NONE, which costs nothing even where
// the system does not overcommit, and made usable in steps. Huge pages are refused: one fault would
// clear 2 MiB (100-200 us), and the last one would count as used in whole.

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/memory.hpp>

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace fermata::git_mem {

namespace {

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t usable_step = 4 * 1024 * 1024;
constexpr std::uint64_t least_reserved = 1024 * 1024;
constexpr std::uint64_t release_cut = 512 * 1024;

std::uint64_t round_up(std::uint64_t n, std::uint64_t to) noexcept {
  return (n + to - 1) / to * to;
}

std::uint8_t* map(std::uint64_t bytes, int protection) {
  void* p = ::mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  ::madvise(p, bytes, MADV_NOHUGEPAGE);
  return static_cast<std::uint8_t*>(p);
}

// All new pages of a range by one call of the system: a trap for each takes 2 to 3 times as long.
// Where the system cannot (before Linux 5.14) they come one by one.
void make_present(std::uint8_t* base, std::uint64_t from, std::uint64_t to) noexcept {
  from = round_up(from, page);
  to = round_up(to, page);
  if (to > from + page) ::madvise(base + from, to - from, MADV_POPULATE_WRITE);
}

#if defined(__SANITIZE_ADDRESS__)
constexpr bool keeps_spares = false;
#else
constexpr bool keeps_spares = true;
#endif

// The blocks that this thread has freed last.
class spare_blocks {
public:
  // One that is large enough, and not more than twice; its capacity is put into `capacity`.
  std::uint8_t* take(std::size_t size, std::size_t& capacity) noexcept {
    for (std::size_t i = count_; i-- > 0;) {
      if (all_[i].capacity < size || all_[i].capacity / 2 > size) continue;
      const block found = all_[i];
      std::copy(all_.begin() + i + 1, all_.begin() + count_, all_.begin() + i);
      --count_;
      bytes_ -= found.capacity;
      capacity = found.capacity;
      return found.data;
    }
    return nullptr;
  }
  bool keep(std::uint8_t* data, std::size_t capacity) noexcept {
    if (!keeps_spares || is_closed_ || data == nullptr || capacity < smallest) return false;
    static thread_local at_exit closer(*this);
    while (count_ == all_.size() || (count_ > 0 && bytes_ + capacity > most_bytes)) drop_oldest();
    all_[count_++] = {data, capacity};
    bytes_ += capacity;
    return true;
  }
  // Blocks of at least this are made as large as that, and may be kept.
  static constexpr std::size_t smallest = 32 * 1024;
  static constexpr std::size_t step = 16 * 1024;

private:
  static constexpr std::size_t most_bytes = 1024 * 1024;
  struct block {
    std::uint8_t* data;
    std::size_t capacity;
  };
  // Other destructors of the thread may still free blocks after this.
  struct at_exit {
    explicit at_exit(spare_blocks& s) : of(s) {}
    ~at_exit() {
      while (of.count_ > 0) of.drop_oldest();
      of.is_closed_ = true;
    }
    spare_blocks& of;
  };
  void drop_oldest() noexcept {
    std::free(all_[0].data);
    bytes_ -= all_[0].capacity;
    std::copy(all_.begin() + 1, all_.begin() + count_, all_.begin());
    --count_;
  }

  std::array<block, most_bytes / smallest> all_{};  // the oldest first
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
  bool is_closed_ = false;
};

thread_local constinit spare_blocks spares;

}  // namespace

// Where address space is limited (`ulimit -v`) a part of it, and that part is the end of growing.
growing_range::growing_range(std::uint64_t limit_bytes)
    : reserved_(round_up(std::max<std::uint64_t>(limit_bytes, 1), page)), limit_(limit_bytes) {
  rlimit space{};
  if (::getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY) {
    const std::uint64_t most = std::max(space.rlim_cur / 4, least_reserved);
    reserved_ = std::min(reserved_, round_up(most, page));
  }
  while (base_ == nullptr) {
    try {
      base_ = map(reserved_, PROT_NONE);
    } catch (const std::bad_alloc&) {
      if (reserved_ <= least_reserved) throw;
      reserved_ = round_up(reserved_ / 2, page);
    }
  }
}

growing_range::growing_range(growing_range&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      usable_(std::exchange(other.usable_, 0)),
      reserved_(std::exchange(other.reserved_, 0)),
      limit_(std::exchange(other.limit_, 0)) {}

growing_range& growing_range::operator=(growing_range&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(size_, other.size_);
  std::swap(usable_, other.usable_);
  std::swap(reserved_, other.reserved_);
  std::swap(limit_, other.limit_);
  return *this;
}

growing_range::~growing_range() {
  if (base_ != nullptr && reserved_ > 0) ::munmap(base_, reserved_);
}

void growing_range::grow_usable(std::uint64_t end) {
  const std::uint64_t wanted = std::min(reserved_, round_up(end, usable_step));
  if (::mprotect(base_ + usable_, wanted - usable_, PROT_READ | PROT_WRITE) != 0) {
    throw std::bad_alloc();
  }
  usable_ = wanted;
}

void growing_range::extend(std::uint64_t bytes) {
  if (bytes > limit_ - size_) {
    throw failure(reason::limit, "more than the limit of " + std::to_string(limit_) + " bytes");
  }
  if (size_ + bytes > reserved_) {
    throw failure(reason::limit, "more than " + std::to_string(reserved_) +
                                     " bytes, and address space is limited");
  }
  if (size_ + bytes > usable_) grow_usable(size_ + bytes);
  size_ += bytes;
}

void growing_range::append(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  extend(bytes.size());
  make_present(base_, size_ - bytes.size(), size_);
  std::memcpy(base_ + size_ - bytes.size(), bytes.data(), bytes.size());
}

void growing_range::seal() noexcept {
  const std::uint64_t keep = round_up(std::max<std::uint64_t>(size_, 1), page);
  if (base_ == nullptr || keep >= reserved_) return;
  ::munmap(base_ + keep, reserved_ - keep);
  reserved_ = keep;
  usable_ = std::min(usable_, keep);
  limit_ = size_;
}

bool growing_range::release_slice() noexcept {
  seal();
  if (reserved_ == 0) return false;
  const std::uint64_t bytes = std::min(reserved_, release_cut);
  reserved_ -= bytes;
  ::munmap(base_ + reserved_, bytes);
  size_ = usable_ = limit_ = std::min(size_, reserved_);
  return reserved_ > 0;
}

byte_block::byte_block(std::size_t size) : size_(size) {
  if (size <= release_cut) {
    const bool may_be_kept = size >= spare_blocks::smallest;
    if (may_be_kept) data_ = spares.take(size, capacity_);
    if (data_ != nullptr) return;
    capacity_ = may_be_kept ? round_up(size, spare_blocks::step) : std::max<std::size_t>(size, 1);
    data_ = static_cast<std::uint8_t*>(std::malloc(capacity_));
    if (data_ == nullptr) throw std::bad_alloc();
    return;
  }
  mapped_ = round_up(size, page);
  data_ = map(mapped_, PROT_READ | PROT_WRITE);
}

byte_block::byte_block(byte_block&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

byte_block& byte_block::operator=(byte_block&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  std::swap(capacity_, other.capacity_);
  return *this;
}

byte_block::~byte_block() { free_memory(); }

void byte_block::free_memory() noexcept {
  if (mapped_ > 0) {
    ::munmap(data_, mapped_);
  } else if (!spares.keep(data_, capacity_)) {
    std::free(data_);
  }
}

bool byte_block::release_slice() noexcept {
  if (mapped_ == 0) {
    free_memory();
    data_ = nullptr;
    size_ = capacity_ = 0;
    return false;
  }
  const std::size_t bytes = std::min<std::size_t>(mapped_, release_cut);
  mapped_ -= bytes;
  ::munmap(data_ + mapped_, bytes);
  size_ = std::min(size_, mapped_);
  if (mapped_ == 0) data_ = nullptr;
  return mapped_ > 0;
}

}  // namespace fermata::git_mem
