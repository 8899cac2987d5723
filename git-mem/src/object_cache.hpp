// SPDX-License-Identifier: MIT
// Recent objects of a snapshot, as bases: what reads many objects keeps one beside its readers.
// Each link of a chain that is rebuilt goes in, so that the next version of a tree costs one link.

#pragma once

#include "base_cache.hpp"

#include <fermata/git_mem/object_store.hpp>

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace fermata::git_mem::detail {

class object_cache {
public:
  static constexpr std::uint64_t default_bytes = std::uint64_t{8} << 20;

  explicit object_cache(const snapshot& of, std::uint64_t bytes = default_bytes) : ring_(bytes) {
    std::uint32_t first = 0;
    for (const auto& p : of.packs) {
      first_.push_back(first);
      first += p->entry_count();
    }
  }

  // Its bytes, or null; they stay until the next call.
  [[nodiscard]] const std::uint8_t* find(std::uint32_t pack_number,
                                         std::uint32_t entry_number,
                                         std::uint64_t size) noexcept {
    return size > ring_.largest() ? nullptr : ring_.find(first_[pack_number] + entry_number, size);
  }

  void keep(std::uint32_t pack_number,
            std::uint32_t entry_number,
            std::span<const std::uint8_t> content) noexcept {
    if (content.empty() || content.size() > ring_.largest()) return;
    std::memcpy(ring_.reserve(content.size()), content.data(), content.size());
    ring_.keep(first_[pack_number] + entry_number, content.size());
  }

  bool release_slice() noexcept { return ring_.release_slice(); }

private:
  base_cache ring_;
  std::vector<std::uint32_t> first_;  // of each pack: the number of its first entry
};

}  // namespace fermata::git_mem::detail
