// SPDX-License-Identifier: MIT
// The least there is: a loop, and a promise that waits on it.

// [ten_lines]
#include <fermata/promise/sleep.hpp>

#include <cstdio>

fermata::promise<> greet() {
  co_await fermata::sleep_for(std::chrono::milliseconds(1));
  std::puts("hello from the loop");
}

int main() {
  fermata::event_loop loop;
  loop.run(greet);
}
// [/ten_lines]
