// SPDX-License-Identifier: MIT
// Promises made, awaited, bound and combined; what settles when.

#include <fermata/promise/combine.hpp>
#include <fermata/promise/sleep.hpp>

#include <cstdio>
#include <string>

using fermata::promise;
using namespace std::chrono_literals;

namespace {

// [coroutine]
promise<int> count_lines(std::string text) {
  co_await fermata::sleep_for(1ms);  // stands for reading a file
  int lines = 0;
  for (const char c : text) lines += c == '\n' ? 1 : 0;
  co_return lines;
}
// [/coroutine]

// [both]
promise<int> count_both() {
  promise<int> first = count_lines("a\nb\n");  // runs already, up to its first wait
  promise<int> second = count_lines("c\n");
  auto counts = fermata::both(first, second);
  const auto [a, b] = co_await std::move(counts);
  co_return a + b;
}
// [/both]

// [bind]
promise<std::string> describe() {
  return count_both()
      .map([](int lines) { return std::to_string(lines) + " lines"; })
      .catch_([](const std::exception_ptr& e) {
        return fermata::ready("unknown: " + fermata::message_of(e));
      });
}
// [/bind]

// [resolver]
promise<int> answer_later() {
  auto [future, settle] = fermata::make_promise<int>();
  promise<> timer = fermata::sleep_for(1ms);
  promise<> settled = timer.map([s = std::move(settle)]() mutable { s.resolve(42); });
  co_await settled;
  co_return co_await future;
}
// [/resolver]

}  // namespace

int main() {
  fermata::event_loop loop;
  std::printf("%s\n", loop.run(describe).c_str());
  std::printf("%d\n", loop.run(answer_later));
}
