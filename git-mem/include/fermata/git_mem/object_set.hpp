// SPDX-License-Identifier: MIT
/// A set of a snapshot's objects: one bit for each entry of its packs.
///
/// Shape:    an object is known by where `snapshot::find_object` finds it. Places are in order: the
///           oldest pack first, so that bases come before their deltas, then as entries are in it.
/// Pauses:   never; all is O(1) but for `find_next`, which looks at 64 Ki entries at most (10 us).
/// Thread:   any, one at a time.
/// Cost:     a bit an entry; memory is used where bits are set.
/// Lifetime: of the snapshot that it was made for; sets of one snapshot fit each other.
#pragma once

#include <fermata/git_mem/memory.hpp>
#include <fermata/git_mem/object_store.hpp>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace fermata::git_mem {

class object_set {
public:
  /// An object's place among all entries of the snapshot.
  using place = std::uint64_t;

  explicit object_set(const snapshot& of);

  /// True if it was not in.
  bool insert(place at) noexcept;
  bool insert(const object_header& h) noexcept { return insert(place_of(h)); }
  [[nodiscard]] bool contains(place at) const noexcept {
    return (word(at / 64) >> (at % 64) & 1) != 0;
  }
  [[nodiscard]] bool contains(const object_header& h) const noexcept {
    return contains(place_of(h));
  }

  [[nodiscard]] std::uint64_t size() const noexcept { return count_; }
  /// Places are below this.
  [[nodiscard]] place end() const noexcept { return first_.empty() ? 0 : total_; }

  [[nodiscard]] place place_of(const object_header& h) const noexcept {
    return first_[h.pack_number] + h.entry_number;
  }
  /// The pack and entry at a place. Cost: O(packs).
  [[nodiscard]] std::pair<std::uint32_t, std::uint32_t> entry_at(place at) const noexcept;

  /// The first place of the set from `at` on: `found`, or where to go on looking (`end()`: none).
  struct search {
    bool found = false;
    place at = 0;
  };
  [[nodiscard]] search find_next(place at) const noexcept;

private:
  [[nodiscard]] std::uint64_t word(place n) const noexcept {
    return reinterpret_cast<const std::uint64_t*>(bits_.data())[n];
  }

  growing_range bits_;
  std::vector<place> first_;  // of each pack
  place total_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace fermata::git_mem
