// SPDX-License-Identifier: MIT
// What g++ 12 does wrong in coroutines: each fault that the rules in docs/tutorial.md avoid, as the
// smallest program that shows it.
//
// Prints a line a fault. Exit status: 1 where g++ 12 does not show what we say it does. A compiler
// that is right prints "needless", and the rule may go once no supported compiler is wrong.

#include <coroutine>
#include <cstdio>

namespace {

struct task {
  struct promise_type {
    task get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { throw; }
  };
};

/// Settled already, as a promise may be.
struct settled {
  bool await_ready() const { return true; }
  void await_suspend(std::coroutine_handle<>) const {}
  bool await_resume() const { return true; }
};

/// Stands for a string, a vector, a handle: something that must be destroyed once.
struct owner {
  owner() { ++balance; }
  owner(const owner&) { ++balance; }
  owner& operator=(const owner&) = delete;
  ~owner() { --balance; }
  static inline int balance = 0;
};

// ---- rule 2: braces, and lambdas that capture by value, inside an awaited expression ----

struct options {
  owner name;
  int depth = 0;
};
settled with_options(options) { return {}; }
task await_braces() { co_await with_options(options{owner(), 1}); }
bool destroys_a_braced_aggregate_twice() {
  await_braces();
  return owner::balance != 0;
}

template <typename F>
settled with_callable(F f) {
  f();
  return {};
}
task await_closure() {
  owner captured;
  co_await with_callable([captured] { static_cast<void>(captured); });
}
bool destroys_a_closure_twice() {
  await_closure();
  return owner::balance != 0;
}

// ---- rule 3: option structs with an owning member declare a constructor ----

settled with_default(options = {}) { return {}; }
task await_default() { co_await with_default(); }
bool destroys_a_default_argument_twice() {
  await_default();
  return owner::balance != 0;
}

struct safe_options {
  safe_options() {}
  owner name;
  int depth = 0;
};
settled with_safe_default(safe_options = {}) { return {}; }
task await_safe_default() { co_await with_safe_default(); }
bool destroys_a_constructed_default_twice() {
  await_safe_default();
  return owner::balance != 0;
}

// ---- rule 1: no co_await in a condition ----

int awaits = 0;
bool no() { return false; }
settled counted() {
  ++awaits;
  return {};
}
task await_in_while() {
  while (no() && co_await counted()) {
  }
}
bool awaits_what_a_false_operand_skips() {
  await_in_while();
  return awaits != 0;
}

// ---- for whoever writes an awaitable: await_transform gives a value ----

struct awaiter {
  awaiter() = default;
  awaiter(const awaiter& other) : copies(other.copies + 1) {}
  awaiter& operator=(const awaiter&) = delete;
  bool await_ready() const { return true; }
  void await_suspend(std::coroutine_handle<>) const {}
  int await_resume() const { return copies; }
  int copies = 0;
};
struct transforming_task {
  struct promise_type : task::promise_type {
    transforming_task get_return_object() { return {}; }
    awaiter& await_transform(int) { return own; }
    awaiter own;
  };
};
transforming_task await_reference(int& copies) { copies = co_await 1; }
bool copies_what_await_transform_refers_to() {
  int copies = 0;
  await_reference(copies);
  return copies != 0;
}

struct fault {
  const char* what;
  bool (*shows)();
  bool in_gcc_12;
};
constexpr fault faults[] = {
    {"rule 1: a false operand before && does not skip an await", awaits_what_a_false_operand_skips,
     true},
    {"rule 2: a braced aggregate is destroyed twice", destroys_a_braced_aggregate_twice, true},
    {"rule 2: a closure that owns is destroyed twice", destroys_a_closure_twice, true},
    {"rule 3: a default aggregate is destroyed twice", destroys_a_default_argument_twice, true},
    {"rule 3: ... even with a constructor", destroys_a_constructed_default_twice, false},
    {"awaitables: a reference from await_transform is copied",
     copies_what_await_transform_refers_to, true},
};

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ == 12
constexpr bool is_gcc_12 = true;
#else
constexpr bool is_gcc_12 = false;
#endif

}  // namespace

int main() {
  int wrong = 0;
  for (const fault& f : faults) {
    owner::balance = 0;
    const bool shows = f.shows();
    if (is_gcc_12 && shows != f.in_gcc_12) ++wrong;
    if (shows) {
      std::printf("%s\n", f.what);
    } else if (f.in_gcc_12) {
      std::printf("%s: needless, this compiler is right\n", f.what);
    }
  }
  return wrong == 0 ? 0 : 1;
}
