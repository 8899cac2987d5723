// SPDX-License-Identifier: MIT
// c1: going on from what has settled already. ns, lower is better.
//
//   c1_resolve_bind  a task awaits a settled promise n times, each await with all its checks
//   c1_fresh         the same with a new settled promise each time: `co_await ready(i)`
//   c1_bind          bind on a settled promise, whose result the next bind takes
//   c1_chain1000     1,000 binds in a row on a pending promise, made, resolved and run: per bind

#include "cases.hpp"

#include <fermata/promise/promise.hpp>

#include <cstddef>
#include <utility>

namespace bench {
namespace {

using fermata::promise;

constexpr std::size_t awaits = 20'000;
constexpr std::size_t binds = 1000;
constexpr std::size_t chains = 2;

promise<long> await_one(const promise<int>& settled, std::size_t n) {
  long sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const int value = co_await settled;
    sum += value;
  }
  co_return sum;
}

promise<long> await_fresh(std::size_t n) {
  long sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const int value = co_await fermata::ready(1);
    sum += value;
  }
  co_return sum;
}

promise<long> bind_on(promise<long> from, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    from = std::move(from).bind([](long value) { return fermata::ready(value + 1); });
  }
  return from;
}

promise<long> bind_settled(std::size_t rounds) {
  long sum = 0;
  for (std::size_t i = 0; i < rounds; ++i) {
    promise<long> last = bind_on(fermata::ready(0L), binds);
    const long value = co_await last;
    sum += value;
  }
  co_return sum;
}

promise<long> bind_pending(std::size_t rounds) {
  long sum = 0;
  for (std::size_t i = 0; i < rounds; ++i) {
    auto [head, settle] = fermata::make_promise<long>();
    promise<long> last = bind_on(std::move(head), binds);
    settle.resolve(0);
    const long value = co_await last;
    sum += value;
  }
  co_return sum;
}

// What the task that `start(n)` starts takes for each of n steps, which its sum counts.
template <typename F>
double time_task(const settings& s, std::size_t steps, F start) {
  fermata::event_loop loop;
  return ns_an_operation(s, steps, [&] {
    const long sum = loop.run(start);
    require(sum == static_cast<long>(steps), "c1: every step counts one");
  });
}

}  // namespace

void run_settled(const settings& s) {
  print_figure("c1_resolve_bind", "ns", time_task(s, awaits, []() -> promise<long> {
                 const promise<int> one = fermata::ready(1);
                 co_return co_await await_one(one, awaits);
               }));
  print_figure("c1_fresh", "ns", time_task(s, awaits, [] { return await_fresh(awaits); }));
  print_figure("c1_bind", "ns", time_task(s, binds * chains, [] { return bind_settled(chains); }));
  print_figure("c1_chain1000", "ns",
               time_task(s, binds * chains, [] { return bind_pending(chains); }));
}

}  // namespace bench
