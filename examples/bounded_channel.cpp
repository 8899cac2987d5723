// SPDX-License-Identifier: MIT
// A producer and a consumer over a bounded channel: who is faster waits for the other.

#include <fermata/promise/channel.hpp>
#include <fermata/promise/scope.hpp>

#include <cstdio>
#include <string>

using fermata::promise;
using fermata::scope;

namespace {

// [channel]
promise<> produce(fermata::channel_writer<std::string> out) {
  for (int i = 1; i <= 100; ++i) {
    co_await out.send("piece " + std::to_string(i));  // waits while eight are on their way
  }
}  // the last writer is gone: the reader gets what is left, then the end

promise<> consume(fermata::channel_reader<std::string> in, std::size_t& bytes) {
  for (;;) {
    const std::optional<std::string> piece = co_await in.receive();
    if (!piece) co_return;
    bytes += piece->size();
  }
}

promise<> transfer(scope& s, std::size_t& bytes) {
  auto [out, in] = fermata::channel<std::string>(8);
  s.fork([out = std::move(out)]() mutable { return produce(std::move(out)); });
  return consume(std::move(in), bytes);
}
// [/channel]

}  // namespace

int main() {
  fermata::event_loop loop;
  std::size_t bytes = 0;
  loop.run([&] { return scope::run([&](scope& s) { return transfer(s, bytes); }); });
  std::printf("%zu bytes came over\n", bytes);
}
