// SPDX-License-Identifier: MIT
/// Which objects a history needs: all that tips reach, without what somebody has already.
///
/// Pauses:  may, after each object and each 256 entries of a tree (about 30 us).
/// Thread:  loop.
/// Rejects: `failure`: reason::not_found for a tip or an object that is not there, reason::corrupt
///          for a damaged commit, tag or tree; `cancelled`.
/// Cost:    every commit and tree once, no blob; 8 bits an object, 28 bytes a commit, 8 MB of
///          recent trees; with a `tree_depth` 20 bytes for each tree of the present depth.
#pragma once

#include <fermata/git_mem/object_set.hpp>
#include <fermata/promise/promise.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace fermata::git_mem {

/// What a partial clone leaves out. Tips are given whatever they are.
struct object_filter {
  static constexpr std::uint64_t all = UINT64_MAX;

  std::uint64_t blob_bytes = all;  ///< blobs of this size and more are left out
  std::uint64_t tree_depth = all;  ///< and what is so deep: 0 a commit's tree, 1 its entries, ...
  bool commits = true;             ///< whether there are any, beside the tips
  bool trees = true;
  bool blobs = true;

  /// In git's words: `blob:none`, `blob:limit=<n>[kmg]`, `tree:<depth>`, `object:type=<type>`,
  /// `combine:<filter>+<filter>...`; nothing for all else (`sparse:oid=...`).
  [[nodiscard]] static std::optional<object_filter> parse(std::string_view text);

  [[nodiscard]] bool drops_blob(std::uint64_t size_bytes) const noexcept {
    return !blobs || (drops_some_blobs() && size_bytes >= blob_bytes);
  }
  [[nodiscard]] bool drops_some_blobs() const noexcept { return !blobs || blob_bytes != all; }
  /// Whether anything below commits is given.
  [[nodiscard]] bool enters_trees() const noexcept { return tree_depth > 0 && (trees || blobs); }
};

struct reachability_request {
  reachability_request() {}  // no aggregate: see STYLE.md, coroutines under g++ 12

  std::vector<object_id> tips;   ///< objects of any type
  std::vector<object_id> haves;  ///< with all that they reach; those that are absent are ignored
  /// Commits whose parents are left out, beside the snapshot's own.
  std::vector<object_id> boundary;
  /// The same for what the haves reach: the shallow commits of whoever has them.
  std::vector<object_id> have_boundary;
  object_filter filter;
  bool may_lack = false;  ///< files and trees that are not there are passed over
};

/// What came of it. `had` holds what the haves surely reach, as far as it was looked at: these may
/// be bases of a thin pack. No object is in both.
struct reachable_objects {
  std::shared_ptr<object_set> objects;
  std::shared_ptr<object_set> had;
};

promise<reachable_objects> find_reachable(snapshot_ptr from, reachability_request request);

}  // namespace fermata::git_mem
