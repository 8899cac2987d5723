// SPDX-License-Identifier: MIT
/// Objects in memory: packs as they came, found by name, in immutable snapshots.
///
/// Shape:  `publish` swaps in a new snapshot whole; readers keep the one they hold. What nobody
/// holds
///         any more is freed by `reclaim_step`, in slices.
/// Pauses: never; functions are O(1) but where they say otherwise.
/// Thread: loop for `object_store`; a snapshot is immutable, and any thread may read it.
#pragma once

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/pack.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::git_mem {

/// A name and the object that it stands for.
struct reference {
  std::string name;  ///< "HEAD", "refs/heads/master"
  object_id id;
  std::string symbolic_target;  ///< the name that it stands for, if it is symbolic
};

/// What is known of an object without reading it, and where it is.
struct object_header {
  object_type type = object_type::blob;
  std::uint64_t size_bytes = 0;
  std::uint32_t pack_number = 0;  ///< in `snapshot::packs`
  std::uint32_t entry_number = 0;
};

/// A repository at one moment.
class snapshot {
public:
  std::vector<reference> refs;                     ///< sorted by name
  bool refs_in_order = false;                      ///< for `publish`, by who has just sorted them
  std::vector<object_id> shallow;                  ///< sorted; commits whose parents are left out
  bool is_partial = false;                         ///< a filter left out files, or trees too
  std::vector<std::shared_ptr<const pack>> packs;  ///< newest first; bases are in it or later ones

  [[nodiscard]] std::optional<object_header> find_object(const object_id& id) const;

  /// The same, from pack `first` on.
  [[nodiscard]] std::optional<object_header> find_object(const object_id& id,
                                                         std::size_t first) const;

  /// Binary search by the whole name.
  [[nodiscard]] const reference* find_ref(std::string_view name) const;
  [[nodiscard]] bool is_shallow(const object_id& commit) const;
  [[nodiscard]] std::uint64_t object_count() const noexcept;
  [[nodiscard]] std::uint64_t pack_bytes() const noexcept;
  /// What its packs take, with what finds objects in them.
  [[nodiscard]] std::uint64_t memory_bytes() const noexcept;
};

using snapshot_ptr = std::shared_ptr<const snapshot>;

/// Holds the current snapshot, and what waits to be freed.
class object_store {
public:
  object_store();
  object_store(const object_store&) = delete;
  object_store& operator=(const object_store&) = delete;
  /// Frees in one go what no reader holds: run `reclaim_step` to its end where that matters.
  ~object_store();

  /// Never null; empty at first.
  [[nodiscard]] const snapshot_ptr& current() const noexcept { return current_; }

  /// A pack that is freed in slices once its last snapshot has gone.
  [[nodiscard]] std::shared_ptr<const pack> adopt(std::unique_ptr<pack> p);

  /// Sorts `next.refs` and `next.shallow`. Cost: 20 ns a ref that is in order, none where
  /// `next.refs_in_order` says so.
  void publish(snapshot next);

  /// Frees a slice (below 50 us) of what nobody uses any more; true while there is more.
  bool reclaim_step() noexcept;

private:
  struct reclaimer;
  std::shared_ptr<reclaimer> reclaimer_;
  snapshot_ptr current_;
};

}  // namespace fermata::git_mem
