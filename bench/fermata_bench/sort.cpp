// SPDX-License-Identifier: MIT
// c4: merge sort whose halves are two tasks joined by `both`, over the same sort as a plain
// function; both copy their halves and check their result. A ratio of times, lower is better.
//
//   c4_ratio_N   N numbers: 10, 1,000, 100,000
//   c4_ratioy_N  the same with a pause before every merge

#include "cases.hpp"
#include "sort_work.hpp"

#include <fermata/promise/combine.hpp>
#include <fermata/promise/pause.hpp>

#include <cstddef>
#include <utility>

namespace bench {
namespace {

using fermata::promise;

template <bool Pauses>
promise<numbers> sort_task(numbers all) {
  if (all.size() < 2) co_return all;
  auto [left, right] = halve(all);
  promise<numbers> left_sorted = sort_task<Pauses>(std::move(left));
  promise<numbers> right_sorted = sort_task<Pauses>(std::move(right));
  promise<std::pair<numbers, numbers>> halves =
      fermata::both(std::move(left_sorted), std::move(right_sorted));
  const auto sorted = co_await std::move(halves);
  if constexpr (Pauses) co_await fermata::pause();
  co_return merge(sorted.first, sorted.second);
}

template <bool Pauses>
promise<numbers> sort_often(const numbers& input, std::size_t times) {
  numbers sorted;
  for (std::size_t i = 0; i < times; ++i) {
    promise<numbers> one = sort_task<Pauses>(input);
    sorted = co_await std::move(one);
  }
  co_return sorted;
}

template <bool Pauses>
void measure(const settings& s, const char* prefix) {
  fermata::event_loop loop;
  print_sort_ratios(s, prefix, [&](const numbers& input, std::size_t times) {
    return loop.run([&] { return sort_often<Pauses>(input, times); });
  });
}

}  // namespace

void run_sort(const settings& s) {
  measure<false>(s, "c4_ratio");
  measure<true>(s, "c4_ratioy");
}

}  // namespace bench
