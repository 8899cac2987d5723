// SPDX-License-Identifier: MIT
// One merge sort, plain and with `both`: under `greedy` the left half is sorted to its end before
// the right one begins, as in the plain sort; where the parts pause, the order is by level.

#include <fermata/promise/combine.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

using fermata::policy;
using fermata::promise;
using numbers = std::vector<int>;

namespace {

void note(std::string& trace, const numbers& list) {
  for (const int n : list) trace += std::to_string(n) + "|";
  trace.back() = '\n';
}

std::pair<numbers, numbers> split(const numbers& list) {
  const auto middle = list.begin() + static_cast<std::ptrdiff_t>(list.size() / 2);
  return {numbers(list.begin(), middle), numbers(middle, list.end())};
}

numbers merge(const numbers& a, const numbers& b) {
  numbers merged(a.size() + b.size());
  std::merge(a.begin(), a.end(), b.begin(), b.end(), merged.begin());
  return merged;
}

numbers sort_plainly(numbers list, std::string& trace) {
  if (list.size() < 2) return list;
  note(trace, list);
  const auto [a, b] = split(list);
  const numbers left = sort_plainly(a, trace);
  return merge(left, sort_plainly(b, trace));
}

promise<numbers> sort(numbers list, std::string& trace) {
  if (list.size() < 2) co_return list;
  note(trace, list);
  co_await fermata::maybe_pause();
  auto [a, b] = split(list);
  promise<numbers> left = sort(std::move(a), trace);
  promise<numbers> right = sort(std::move(b), trace);
  auto halves = fermata::both(std::move(left), std::move(right));
  const auto parts = co_await halves;
  co_return merge(parts.first, parts.second);
}

const numbers unsorted = {3, 4, 2, 1, 7, 5, 8, 9, 0, 6};
const numbers sorted = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
const std::string first_lines = "3|4|2|1|7|5|8|9|0|6\n3|4|2|1|7\n";
const std::string depth_first = first_lines + "3|4\n2|1|7\n1|7\n5|8|9|0|6\n5|8\n9|0|6\n0|6\n";
const std::string by_level = first_lines + "5|8|9|0|6\n3|4\n2|1|7\n5|8\n9|0|6\n1|7\n0|6\n";

bool has_trace(policy when, const std::string& expected) {
  fermata::loop_options options;
  options.when = when;
  fermata::event_loop loop(std::move(options));
  std::string trace;
  const numbers result = loop.run([&] { return sort(unsorted, trace); });
  std::printf("with both, %s:\n%s\n", when.to_string().c_str(), trace.c_str());
  return result == sorted && trace == expected;
}

}  // namespace

int main() {
  std::string trace;
  bool ok = sort_plainly(unsorted, trace) == sorted && trace == depth_first;
  std::printf("plain:\n%s\n", trace.c_str());
  ok = has_trace(policy::greedy(), depth_first) && ok;
  return has_trace(policy::always(), by_level) && ok ? 0 : 1;
}
