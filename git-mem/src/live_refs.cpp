// SPDX-License-Identifier: MIT
#include "live_refs.hpp"

#include "sliced_sort.hpp"

#include <fermata/promise/pause.hpp>

#include <optional>
#include <utility>

namespace fermata::git_mem::detail {

namespace {

constexpr std::chrono::nanoseconds ref_cost{200};

}  // namespace

promise<reachable_objects> find_live(snapshot_ptr from) {
  reachability_request request;
  request.may_lack = from->is_partial;
  request.tips.reserve(from->refs.size());  // a vector that grows copies a megabyte in one step
  for (const reference& r : from->refs) {
    if (from->find_object(r.id)) request.tips.push_back(r.id);
    co_await maybe_pause(ref_cost);
  }
  promise<reachable_objects> finding = find_reachable(from, std::move(request));
  co_return co_await std::move(finding);
}

promise<std::vector<reference>> copy_refs(snapshot_ptr from, std::size_t more) {
  std::vector<reference> refs;
  refs.reserve(from->refs.size() + more);
  for (const reference& r : from->refs) {
    refs.push_back(r);
    co_await maybe_pause(ref_cost);
  }
  co_return refs;
}

promise<> sort_refs(std::vector<reference>& refs) {
  return sort_in_slices<reference>(refs, is_before, ref_cost);
}

std::vector<object_id> live_shallow(const snapshot& from, const object_set& live) {
  std::vector<object_id> ids;
  for (const object_id& id : from.shallow) {
    const std::optional<object_header> h = from.find_object(id);
    if (h && live.contains(*h)) ids.push_back(id);
  }
  return ids;
}

}  // namespace fermata::git_mem::detail
