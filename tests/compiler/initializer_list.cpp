// SPDX-License-Identifier: MIT
// g++ 12: "array used as initializer". Why no public function of fermata takes an initializer_list.

#include <coroutine>
#include <string>
#include <vector>

struct task {
  struct promise_type {
    task get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
};

std::suspend_never take(std::vector<std::string>) { return {}; }

task await_a_list() { co_await take({std::string("a"), std::string("b")}); }
