// SPDX-License-Identifier: MIT
// What the merge sorts of case c4 have in common, ours and those of the peers.
#pragma once

#include "measure.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace bench {

using numbers = std::vector<int>;

inline constexpr std::size_t numbers_a_batch = 2000;

inline std::pair<numbers, numbers> halve(const numbers& of) {
  const auto middle = of.begin() + static_cast<std::ptrdiff_t>(of.size() / 2);
  return {numbers(of.begin(), middle), numbers(middle, of.end())};
}

inline numbers merge(const numbers& left, const numbers& right) {
  numbers merged;
  merged.reserve(left.size() + right.size());
  std::merge(left.begin(), left.end(), right.begin(), right.end(), std::back_inserter(merged));
  return merged;
}

inline numbers sort_plain(numbers all) {
  if (all.size() < 2) return all;
  auto [left, right] = halve(all);
  left = sort_plain(std::move(left));
  right = sort_plain(std::move(right));
  return merge(left, right);
}

struct sorted_input {
  explicit sorted_input(std::size_t n) : input(n) {
    std::minstd_rand random(4711);
    for (int& x : input) x = static_cast<int>(random() % 1'000'000);
    expected = input;
    std::sort(expected.begin(), expected.end());
  }
  numbers input;
  numbers expected;
};

/// The ratio for `n` numbers: `sort_often(input, times)` sorts by tasks. Tasks and plain function
/// take turns, so that both meet the same noise.
template <typename F>
double sort_ratio(const settings& s, std::size_t n, F&& sort_often) {
  const sorted_input given(n);
  const std::size_t times = std::max<std::size_t>(1, numbers_a_batch / n);
  std::vector<double> plain;
  std::vector<double> tasks;
  numbers by_plain;
  numbers by_tasks;
  repeat(s, [&](bool measures) {
    const double p = seconds_of([&] {
      for (std::size_t i = 0; i < times; ++i) by_plain = sort_plain(given.input);
    });
    const double t = seconds_of([&] { by_tasks = sort_often(given.input, times); });
    require(by_plain == given.expected && by_tasks == given.expected, "c4: both sort");
    if (!measures) return;
    plain.push_back(p);
    tasks.push_back(t);
  });
  return median(std::move(tasks)) / median(std::move(plain));
}

/// Prints the ratios of the three sizes as `<prefix>_10` and so on.
template <typename F>
void print_sort_ratios(const settings& s, const std::string& prefix, F&& sort_often) {
  print_figure(prefix + "_10", "ratio", sort_ratio(s, 10, sort_often));
  print_figure(prefix + "_1000", "ratio", sort_ratio(s, 1000, sort_often));
  print_figure(prefix + "_100k", "ratio", sort_ratio(s, 100'000, sort_often));
}

}  // namespace bench
