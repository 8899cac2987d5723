// SPDX-License-Identifier: MIT
// A long sum that lets a timer fire meanwhile.

// [hello]
#include <fermata/promise/pause.hpp>

#include <cstdio>

fermata::promise<long> add_up(long n) {
  long sum = 0;
  for (long i = 1; i <= n; ++i) {
    sum += i;
    co_await fermata::maybe_pause();  // goes on at once, unless somebody waits
  }
  co_return sum;
}

int main() {
  fermata::event_loop loop;
  fermata::timer soon(loop, std::chrono::milliseconds(1), [] { std::puts("a timer fires"); });
  const long sum = loop.run([] { return add_up(20'000'000); });
  std::printf("the sum is %ld\n", sum);
}
// [/hello]
