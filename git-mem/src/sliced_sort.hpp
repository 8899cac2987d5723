// SPDX-License-Identifier: MIT
// Sorts what may be long, in slices: a heap, for its steps are short.
#pragma once

#include <fermata/git_mem/object_id.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/promise.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace fermata::git_mem::detail {

// `look_cost` is of one comparison. What is in order already is only looked at.
// Lifetime: `of` outlives the promise.
template <typename T>
promise<> sort_in_slices(std::vector<T>& of,
                         bool (*is_before)(const T&, const T&),
                         std::chrono::nanoseconds look_cost) {
  bool sorted = true;
  for (std::size_t i = 1; sorted && i < of.size(); ++i) {
    sorted = !is_before(of[i], of[i - 1]);
    co_await maybe_pause(look_cost);
  }
  if (sorted) co_return;
  const auto begin = of.begin();
  for (auto end = begin; end != of.end();) {
    std::push_heap(begin, ++end, is_before);
    co_await maybe_pause(look_cost);
  }
  for (auto end = of.end(); end != begin; --end) {
    std::pop_heap(begin, end, is_before);
    co_await maybe_pause(4 * look_cost);
  }
}

// And drops what is there twice. Lifetime: `ids` outlives the promise.
promise<> sort_ids(std::vector<object_id>& ids);

}  // namespace fermata::git_mem::detail
