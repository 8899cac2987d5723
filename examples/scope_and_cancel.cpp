// SPDX-License-Identifier: MIT
// Work that runs side by side and ends together: one failure cancels the rest, a timeout all.

#include <fermata/promise/pause.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/sleep.hpp>

#include <cstdio>
#include <string>

using fermata::promise;
using fermata::scope;
using namespace std::chrono_literals;

namespace {

promise<> download(std::string name, std::chrono::nanoseconds time) {
  try {
    co_await fermata::sleep_for(time);
    std::printf("%s is here\n", name.c_str());
  } catch (const fermata::cancelled&) {
    std::printf("%s is given up\n", name.c_str());
    throw;
  }
}

promise<> fail_after(std::chrono::nanoseconds time) {
  co_await fermata::sleep_for(time);
  throw fermata::error("cannot write: the disk is full");
}

// [scope]
promise<> download_all(scope& s) {
  s.fork([] { return download("the small file", 1ms); });
  s.fork([] { return download("the large file", 1h); });
  s.fork([] { return fail_after(20ms); });
  co_return;  // the scope goes on until its children have ended
}
// [/scope]

// [compute]
promise<> compute_for_ever() {
  for (std::uint64_t n = 0;; ++n) co_await fermata::maybe_pause();  // a cancel arrives here
}
// [/compute]

}  // namespace

int main() {
  fermata::event_loop loop;
  // [run]
  try {
    loop.run([] { return scope::run(download_all); });
  } catch (const fermata::error& e) {
    std::printf("%s\n", e.what());
  }
  try {
    loop.run([] { return fermata::with_timeout(5ms, compute_for_ever()); });
  } catch (const fermata::timed_out& e) {
    std::printf("%s\n", e.what());
  }
  // [/run]
}
