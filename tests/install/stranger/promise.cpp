// SPDX-License-Identifier: MIT

#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>

fermata::promise<int> answer() {
  co_await fermata::sleep_for(std::chrono::milliseconds(1));
  co_await fermata::pause();
  co_return 42;
}

int main() {
  fermata::event_loop loop;
  return loop.run(answer) == 42 ? 0 : 1;
}
