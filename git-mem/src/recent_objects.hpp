// SPDX-License-Identifier: MIT
// What an object_cache holds: two rings of objects, and a state to inflate with.
//
// Objects that were asked for pass through a quarter of the memory; those that a delta stood on
// stay in the rest. So reading everything once pushes no base out, and the next version of a tree
// still finds the one before it. Of a chain of large objects only the first and the last are kept:
// the links between them would fill the ring with one read.

#pragma once

#include "base_cache.hpp"
#include "delta_base.hpp"
#include "inflater.hpp"

#include <fermata/git_mem/object_store.hpp>

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace fermata::git_mem::detail {

class recent_objects {
public:
  recent_objects(const snapshot& of, std::uint64_t bytes)
      : large_(bytes / 128), asked_for_(bytes / 4), bases_(bytes - bytes / 4) {
    std::uint32_t first = 0;
    for (const auto& p : of.packs) {
      first_.push_back(first);
      first += p->entry_count();
    }
  }

  // Its bytes, or null; they stay until the next call. `as_base`: a delta will stand on it.
  [[nodiscard]] const std::uint8_t* find(entry_place at,
                                         std::uint64_t size,
                                         bool as_base) noexcept {
    const std::uint32_t number = number_of(at);
    const std::uint8_t* found = size > bases_.largest() ? nullptr : bases_.find(number, size);
    if (found != nullptr || size > asked_for_.largest()) return found;
    found = asked_for_.find(number, size);
    if (found != nullptr && as_base && size < large_) {
      put(bases_, number, {found, static_cast<std::size_t>(size)});
    }
    return found;
  }

  void keep_asked_for(entry_place at, std::span<const std::uint8_t> content) noexcept {
    put(asked_for_, number_of(at), content);
  }
  void keep_base(entry_place at, std::span<const std::uint8_t> content, bool is_first) noexcept {
    if (is_first || content.size() < large_) put(bases_, number_of(at), content);
  }

  // One reader at a time has the state; others make their own.
  [[nodiscard]] std::unique_ptr<inflater> take_inflater() {
    return idle_ ? std::exchange(idle_, nullptr) : std::make_unique<inflater>();
  }
  void give_back(std::unique_ptr<inflater> used) noexcept { idle_ = std::move(used); }

  bool release_slice() noexcept { return asked_for_.release_slice() || bases_.release_slice(); }

private:
  [[nodiscard]] std::uint32_t number_of(entry_place at) const noexcept {
    return first_[at.pack_number] + at.entry_number;
  }
  static void put(base_cache& to,
                  std::uint32_t number,
                  std::span<const std::uint8_t> content) noexcept {
    if (content.empty() || content.size() > to.largest()) return;
    std::memcpy(to.reserve(content.size()), content.data(), content.size());
    to.keep(number, content.size());
  }

  std::uint64_t large_;
  base_cache asked_for_;
  base_cache bases_;
  std::unique_ptr<inflater> idle_;
  std::vector<std::uint32_t> first_;  // of each pack: the number of its first entry
};

}  // namespace fermata::git_mem::detail
