// SPDX-License-Identifier: MIT
// c5: join of 1,000 pending promises, made, joined, resolved and run. ns a promise, lower is
// better.

#include "cases.hpp"

#include <fermata/promise/combine.hpp>

#include <cstddef>
#include <utility>
#include <vector>

namespace bench {
namespace {

using fermata::promise;
using fermata::resolver;

constexpr std::size_t members = 1000;
constexpr std::size_t rounds = 2;

promise<> join_often() {
  std::vector<resolver<>> settle;
  settle.reserve(members);
  for (std::size_t i = 0; i < rounds; ++i) {
    std::vector<promise<>> waiting;
    waiting.reserve(members);
    for (std::size_t k = 0; k < members; ++k) {
      auto [made, end] = fermata::make_promise<>();
      waiting.push_back(std::move(made));
      settle.push_back(std::move(end));
    }
    promise<> joined = fermata::join(std::move(waiting));
    for (resolver<>& r : settle) r.resolve();
    settle.clear();
    co_await joined;
  }
}

}  // namespace

void run_join(const settings& s) {
  fermata::event_loop loop;
  print_figure("c5_join1000", "ns",
               ns_an_operation(s, members * rounds, [&] { loop.run(join_often); }));
}

}  // namespace bench
