// SPDX-License-Identifier: MIT
// The same work under two policies, and what a client of the loop sees meanwhile.
//
// The work never waits for I/O, so under `greedy` nobody else runs until it is done: the fault that
// fermata was written against.

#include <fermata/promise/heartbeat.hpp>
#include <fermata/promise/pause.hpp>

#include <cstdio>
#include <string>
#include <vector>

using fermata::policy;
using fermata::promise;
using namespace std::chrono_literals;

namespace {

std::uint64_t checksum(const std::string& piece) {
  std::uint64_t sum = 14695981039346656037U;
  for (const char c : piece) sum = (sum ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return sum;
}

// [work]
promise<std::uint64_t> checksum_all(const std::vector<std::string>& pieces) {
  std::uint64_t sum = 0;
  for (const std::string& piece : pieces) {  // all in memory: nothing here waits for I/O
    sum += checksum(piece);
    co_await fermata::maybe_pause(40us);  // what one piece may take
  }
  co_return sum;
}
// [/work]

// [gap]
double longest_wait_ms(policy p, const std::vector<std::string>& pieces) {
  fermata::loop_options options;
  options.when = p;
  fermata::event_loop loop(std::move(options));
  fermata::heartbeat client(loop, 1ms);  // asks every millisecond, notes how late the answer is
  loop.run([&] { return checksum_all(pieces); });
  return std::chrono::duration<double, std::milli>(client.longest()).count();
}
// [/gap]

}  // namespace

int main() {
  const std::vector<std::string> pieces(4'000, std::string(16'384, 'x'));
  std::printf("greedy: a client waits %.1f ms\n", longest_wait_ms(policy::greedy(), pieces));
  std::printf("budget: a client waits %.1f ms\n", longest_wait_ms(policy::budget(500us), pieces));
}
