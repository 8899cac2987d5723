// SPDX-License-Identifier: MIT
// The refs of a snapshot, of which there may be many: in slices.
#pragma once

#include <fermata/git_mem/reachability.hpp>

#include <algorithm>
#include <string_view>
#include <vector>

namespace fermata::git_mem::detail {

// All that refs reach whose object is there.
promise<reachable_objects> find_live(snapshot_ptr from);

promise<std::vector<reference>> copy_refs(snapshot_ptr from, std::size_t more = 0);

[[nodiscard]] inline bool is_before(const reference& a, const reference& b) noexcept {
  return a.name < b.name;
}

// By name. Cost: 20 ns a ref where they are in order already, as servers send them.
promise<> sort_refs(std::vector<reference>& refs);

// The first whose name is not before `name`, of sorted ones.
[[nodiscard]] inline auto ref_from(const std::vector<reference>& sorted, std::string_view name) {
  return std::lower_bound(sorted.begin(), sorted.end(), name,
                          [](const reference& r, std::string_view n) { return r.name < n; });
}

// The shallow commits that are among them.
[[nodiscard]] std::vector<object_id> live_shallow(const snapshot& from, const object_set& live);

}  // namespace fermata::git_mem::detail
