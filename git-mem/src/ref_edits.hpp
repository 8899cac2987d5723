// SPDX-License-Identifier: MIT
// What is to become of refs, and doing it to a sorted list of them.
#pragma once

#include <fermata/git_mem/object_store.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace fermata::git_mem::detail {

struct ref_edit {
  enum class kind { set, remove, symbolic } what = kind::set;
  object_id to;
  std::string target;
  std::optional<object_id> expected;
};

using ref_edits = std::map<std::string, ref_edit, std::less<>>;

// Does all of them to `refs`, which is sorted and stays so; what symbolic refs stand for is right
// afterwards. Throws: `failure` (reason::conflict), and `refs` is then of no use.
void apply_edits(std::vector<reference>& refs, const ref_edits& edits);

}  // namespace fermata::git_mem::detail
