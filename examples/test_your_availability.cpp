// SPDX-License-Identifier: MIT
// How to test that your own service keeps answering: exact, on any machine, in virtual time.

#include <fermata/promise/heartbeat.hpp>
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

}  // namespace

int main() {
  std::printf("50 us a record: %s\n", longest_wait_during_import(50us).c_str());
  std::printf("5 ms a record: %s\n", longest_wait_during_import(5ms).c_str());
}
