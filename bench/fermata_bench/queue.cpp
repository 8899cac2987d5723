// SPDX-License-Identifier: MIT
// c6: an item from one task to another through a bounded channel. ns an item, lower is better.
//
//   c6_q1, c6_q64  a channel of 1 and of 64 places

#include "cases.hpp"

#include <fermata/promise/channel.hpp>
#include <fermata/promise/combine.hpp>

#include <cstddef>
#include <optional>
#include <utility>

namespace bench {
namespace {

using fermata::promise;

constexpr long items = 2000;

promise<> produce(fermata::channel_writer<long> to) {
  for (long i = 0; i < items; ++i) co_await to.send(i);
}

promise<long> consume(fermata::channel_reader<long> from) {
  long sum = 0;
  for (;;) {
    const std::optional<long> item = co_await from.receive();
    if (!item) co_return sum;
    sum += *item;
  }
}

promise<long> pass_all(std::size_t capacity) {
  auto [writer, reader] = fermata::channel<long>(capacity);
  promise<long> consumed = consume(std::move(reader));
  promise<> produced = produce(std::move(writer));
  co_await produced;
  co_return co_await std::move(consumed);
}

double time_items(const settings& s, std::size_t capacity) {
  fermata::event_loop loop;
  return ns_an_operation(s, items, [&] {
    const long sum = loop.run([&] { return pass_all(capacity); });
    require(sum == items * (items - 1) / 2, "c6: every item arrives");
  });
}

}  // namespace

void run_queue(const settings& s) {
  print_figure("c6_q1", "ns", time_items(s, 1));
  print_figure("c6_q64", "ns", time_items(s, 64));
}

}  // namespace bench
