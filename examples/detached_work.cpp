// SPDX-License-Identifier: MIT
// A plain function that cannot pause runs on a thread; the loop goes on meanwhile.

#include <fermata/promise/detach.hpp>
#include <fermata/promise/heartbeat.hpp>

#include <cstdio>

using fermata::promise;
using namespace std::chrono_literals;

namespace {

// [detach]
unsigned long long fibonacci(int n) { return n < 2 ? 1 : fibonacci(n - 1) + fibonacci(n - 2); }

promise<> compute() {
  promise<unsigned long long> detached = fermata::detach(fibonacci, 32);
  const unsigned long long result = co_await detached;
  std::printf("fibonacci(32) is %llu\n", result);
}
// [/detach]

}  // namespace

int main() {
  fermata::event_loop loop;
  fermata::heartbeat client(loop, 1ms);
  loop.run(compute);
  std::printf("%s\n", client.beats() > 0 ? "the loop answered meanwhile" : "the loop was held");
}
