// SPDX-License-Identifier: MIT
// How to test that your own service keeps answering: exact, on any machine, in virtual time.

#include <fermata/promise/heartbeat.hpp>
#include <fermata/promise/memory_network.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/test_loop.hpp>

#include <cstdio>

using fermata::promise;
using namespace std::chrono_literals;

namespace {

promise<> import_records(int count, std::chrono::nanoseconds cost_of_one) {
  for (int i = 0; i < count; ++i) {
    // ... read one record, which takes up to cost_of_one ...
    co_await fermata::maybe_pause(cost_of_one);
  }
}

// [test]
std::string longest_wait_during_import(std::chrono::nanoseconds cost_of_one) {
  fermata::test_loop loop;    // time moves by the costs that your code declares
  loop.fail_on_stall(600us);  // the slice and two steps of 50 us
  fermata::heartbeat client(loop.loop(), 1ms);
  try {
    loop.run([&] { return import_records(10'000, cost_of_one); });
  } catch (const fermata::stalled& e) {
    return e.what();
  }
  const auto longest = std::chrono::duration_cast<std::chrono::microseconds>(client.longest());
  return std::to_string(client.beats()) + " answers, the latest after " +
         std::to_string(longest.count()) + " us";
}
// [/test]

// [server]
promise<> greet(fermata::memory_listener& listener) {
  auto client = co_await listener.accept();
  std::string name = co_await fermata::read_to_end(*client, 100);
  promise<> sent = fermata::write_text(*client, "hello " + name);
  co_await sent;
}
promise<std::string> ask(fermata::memory_network& net) {
  auto server = co_await net.connect("greeter");
  promise<> sent = fermata::write_text(*server, "world");
  co_await sent;
  promise<> ended = server->shutdown();
  co_await ended;
  co_return co_await fermata::read_to_end(*server, 100);
}
// [/server]

// [orders]
void every_order_greets() {
  fermata::for_each_seed(100, [](fermata::test_loop& loop) {
    fermata::memory_network net;
    fermata::memory_listener listener = net.listen("greeter");
    const std::string answer = loop.run([&] {
      const promise<> server = greet(listener);
      return ask(net);
    });
    if (answer != "hello world") throw std::runtime_error("wrong answer: " + answer);
  });
}
// [/orders]

}  // namespace

int main() {
  std::printf("50 us a record: %s\n", longest_wait_during_import(50us).c_str());
  std::printf("5 ms a record: %s\n", longest_wait_during_import(5ms).c_str());
  every_order_greets();
}
