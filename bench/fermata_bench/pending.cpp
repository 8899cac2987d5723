// SPDX-License-Identifier: MIT
// c2: what a promise costs that is awaited before it has its value. ns, lower is better.
//
//   c2_pending_bind  64 promises are made, bound and resolved, then the loop runs what was bound
//   c2_pending_map   the same with map
//   c2_pending_await the same where 64 tasks wait, one for each promise

#include "cases.hpp"

#include <fermata/promise/combine.hpp>

#include <cstddef>
#include <utility>
#include <vector>

namespace bench {
namespace {

using fermata::promise;
using fermata::resolver;

constexpr std::size_t at_once = 64;
constexpr std::size_t rounds = 20;

promise<long> count(promise<int> from, long& sum) {
  const int value = co_await std::move(from);
  sum += value;
  co_return sum;
}

// `wait(promise, sum)` gives the promise of what goes on with the value.
template <typename F>
promise<long> run_rounds(F wait) {
  long sum = 0;
  std::vector<resolver<int>> settle;
  settle.reserve(at_once);
  for (std::size_t i = 0; i < rounds; ++i) {
    promise<long> last;
    for (std::size_t k = 0; k < at_once; ++k) {
      auto [made, end] = fermata::make_promise<int>();
      last = wait(std::move(made), sum);
      settle.push_back(std::move(end));
    }
    for (resolver<int>& r : settle) r.resolve(1);
    settle.clear();
    co_await last;  // first in, first out: all others have run before
  }
  co_return sum;
}

template <typename F>
double time_rounds(const settings& s, F wait) {
  fermata::event_loop loop;
  return ns_an_operation(s, at_once * rounds, [&] {
    const long sum = loop.run([&] { return run_rounds(wait); });
    require(sum == static_cast<long>(at_once * rounds), "c2: every promise counts one");
  });
}

}  // namespace

void run_pending(const settings& s) {
  print_figure("c2_pending_bind", "ns", time_rounds(s, [](promise<int> from, long& sum) {
                 return std::move(from).bind([&sum](int value) {
                   sum += value;
                   return fermata::ready(sum);
                 });
               }));
  print_figure("c2_pending_map", "ns", time_rounds(s, [](promise<int> from, long& sum) {
                 return std::move(from).map([&sum](int value) { return sum += value; });
               }));
  print_figure("c2_pending_await", "ns", time_rounds(s, [](promise<int> from, long& sum) {
                 return count(std::move(from), sum);
               }));
}

}  // namespace bench
