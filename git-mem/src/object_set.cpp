// SPDX-License-Identifier: MIT
#include <fermata/git_mem/object_set.hpp>

#include <algorithm>
#include <bit>

namespace fermata::git_mem {

namespace {

constexpr std::uint64_t words_at_once = 1024;

std::uint64_t entries_of(const snapshot& s) noexcept {
  std::uint64_t n = 0;
  for (const auto& p : s.packs) n += p->entry_count();
  return n;
}

}  // namespace

object_set::object_set(const snapshot& of)
    : bits_((entries_of(of) / 64 + 1) * sizeof(std::uint64_t)), first_(of.packs.size()) {
  for (std::size_t i = of.packs.size(); i-- > 0;) {
    first_[i] = total_;
    total_ += of.packs[i]->entry_count();
  }
  bits_.extend(bits_.limit());
}

bool object_set::insert(place at) noexcept {
  std::uint64_t& w = reinterpret_cast<std::uint64_t*>(bits_.data())[at / 64];
  const std::uint64_t bit = std::uint64_t{1} << (at % 64);
  if ((w & bit) != 0) return false;
  w |= bit;
  ++count_;
  return true;
}

std::pair<std::uint32_t, std::uint32_t> object_set::entry_at(place at) const noexcept {
  for (std::size_t i = 0;; ++i) {  // the oldest pack begins at 0
    if (at >= first_[i]) {
      return {static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(at - first_[i])};
    }
  }
}

object_set::search object_set::find_next(place at) const noexcept {
  if (at >= total_) return {false, total_};
  place n = at / 64;
  const place stop = std::min(n + words_at_once, total_ / 64 + 1);
  std::uint64_t w = word(n) & (~std::uint64_t{0} << (at % 64));
  while (w == 0) {
    if (++n == stop) return {false, std::min(n * 64, total_)};
    w = word(n);
  }
  return {true, n * 64 + static_cast<place>(std::countr_zero(w))};
}

}  // namespace fermata::git_mem
