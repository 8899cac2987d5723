// SPDX-License-Identifier: MIT
// A program that has its own libuv loop takes ours into it: neither keeps the other waiting.

#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>

#include <uv.h>

#include <chrono>
#include <cstdio>

using namespace std::chrono_literals;

// [embedding]
fermata::promise<> work() {
  long sum = 0;
  for (long i = 1; i <= 20'000'000; ++i) {
    sum += i;
    co_await fermata::maybe_pause();
  }
  std::printf("the sum is %ld\n", sum);
  co_await fermata::sleep_for(2ms);
  std::puts("and a sleep is over");
}

int main() {
  uv_loop_t host;  // what the program has run so far
  uv_loop_init(&host);
  uv_timer_t ticker;
  int ticks = 0;
  ticker.data = &ticks;
  uv_timer_init(&host, &ticker);
  uv_timer_start(
      &ticker, [](uv_timer_t* t) { ++*static_cast<int*>(t->data); }, 1, 1);
  uv_unref(reinterpret_cast<uv_handle_t*>(&ticker));  // our work alone keeps it going
  {
    fermata::loop_options options;
    options.uv = &host;
    fermata::event_loop loop(std::move(options));
    fermata::promise<> done;
    loop.run([&done] { done = work(); });  // begins; what is left runs within the host
    uv_run(&host, UV_RUN_DEFAULT);         // ends when our loop has no work left
    std::printf("the host ticked meanwhile: %s\n", ticks > 0 ? "yes" : "no");
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&ticker), nullptr);
  uv_run(&host, UV_RUN_DEFAULT);  // closes our handles too
  return uv_loop_close(&host);
}
// [/embedding]
