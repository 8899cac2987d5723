// SPDX-License-Identifier: MIT
// Anonymous mappings. Address space is reserved with PROT_NONE, which costs nothing even where
// the system does not overcommit, and made usable in steps. Huge pages are refused: one fault would
// clear 2 MiB (100-200 us), and the last one would count as used in whole.

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/memory.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace fermata::git_mem {

namespace {

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t usable_step = 4 * 1024 * 1024;
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

}  // namespace

growing_range::growing_range(std::uint64_t limit_bytes)
    : reserved_(round_up(std::max<std::uint64_t>(limit_bytes, 1), page)), limit_(limit_bytes) {
  base_ = map(reserved_, PROT_NONE);
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
  if (size_ + bytes > usable_) grow_usable(size_ + bytes);
  size_ += bytes;
}

void growing_range::append(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  extend(bytes.size());
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
    data_ = static_cast<std::uint8_t*>(std::malloc(std::max<std::size_t>(size, 1)));
    if (data_ == nullptr) throw std::bad_alloc();
    return;
  }
  mapped_ = round_up(size, page);
  data_ = map(mapped_, PROT_READ | PROT_WRITE);
}

byte_block::byte_block(byte_block&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, 0)) {}

byte_block& byte_block::operator=(byte_block&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

byte_block::~byte_block() {
  if (mapped_ > 0) {
    ::munmap(data_, mapped_);
  } else {
    std::free(data_);
  }
}

bool byte_block::release_slice() noexcept {
  if (mapped_ == 0) {
    std::free(std::exchange(data_, nullptr));
    size_ = 0;
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
