// SPDX-License-Identifier: MIT
// A loop without a check, and the monitor that names it while the thread is still held.

#include <fermata/loop/metrics.hpp>
#include <fermata/loop/stall_monitor.hpp>
#include <fermata/promise/pause.hpp>

#include <cstdio>
#include <string>

using fermata::promise;
using namespace std::chrono_literals;

namespace {

void work_for(std::chrono::steady_clock::duration d) {
  const auto end = std::chrono::steady_clock::now() + d;
  while (std::chrono::steady_clock::now() < end) continue;
}

// [missing]
promise<> import_all(int records) {
  co_await fermata::maybe_pause();  // the last check before the thread is held
  for (int i = 0; i < records; ++i) work_for(1ms);
}
// [/missing]

}  // namespace

int main() {
  // [monitor]
  fermata::stall_options options;
  options.limit = 25ms;
  options.on_stall = [](const fermata::stall_report& r) {  // on the monitor's thread
    const std::string kind(to_string(r.kind));
    std::printf("%s stall after %s\n", kind.c_str(), fermata::to_string(r.site).c_str());
  };
  fermata::event_loop loop;
  const fermata::stall_monitor monitor(loop, std::move(options));
  loop.run([] { return import_all(300); });
  // [/monitor]
}
