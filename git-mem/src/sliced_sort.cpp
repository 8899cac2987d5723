// SPDX-License-Identifier: MIT
#include "sliced_sort.hpp"

namespace fermata::git_mem::detail {

namespace {

constexpr std::chrono::nanoseconds id_cost{50};

bool is_less(const object_id& a, const object_id& b) noexcept { return a < b; }

}  // namespace

promise<> sort_ids(std::vector<object_id>& ids) {
  promise<> sorted = sort_in_slices<object_id>(ids, is_less, id_cost);
  co_await sorted;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (kept == 0 || ids[kept - 1] != ids[i]) ids[kept++] = ids[i];
    co_await maybe_pause(id_cost);
  }
  ids.resize(kept);
}

}  // namespace fermata::git_mem::detail
