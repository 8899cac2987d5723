// SPDX-License-Identifier: MIT
// The stack of a thread that is held, copied at a signal and unwound elsewhere.
//
// The handler copies registers and a bounded piece of the stack, and does nothing else: no frame is
// walked on the held thread, so nothing there can be half-way (a lock of the loader, a frame that
// is being built). While an exception unwinds nothing is copied.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace fermata::detail {

/// What the handler has copied: words from the stack pointer upwards, registers in DWARF's order.
struct stack_copy {
  static constexpr std::size_t most_words = 64 * 1024 / sizeof(std::uintptr_t);
  static constexpr std::size_t most_registers = 32;
  std::uintptr_t pc = 0;
  std::uintptr_t sp = 0;
  std::size_t words = 0;
  std::uintptr_t registers[most_registers] = {};
  unsigned register_count = 0;
  std::uintptr_t stack[most_words] = {};
};

/// The way to the stack of one thread.
class stack_capture {
public:
  /// Thread: the one to be captured.
  explicit stack_capture(int signal);
  stack_capture(const stack_capture&) = delete;
  stack_capture& operator=(const stack_capture&) = delete;
  ~stack_capture();

  /// Asks the thread for its stack and waits for at most `most`; nullptr where it does not answer
  /// or an exception unwinds. Thread: the monitor's.
  [[nodiscard]] const stack_copy* take(std::chrono::nanoseconds most);

private:
  struct shared;
  static void on_signal(int signal, siginfo_t* info, void* context);
  shared* shared_;
  bool is_asked_ = false;  // and has not answered
  pid_t thread_;
  int signal_;
};

/// Claims a signal for stacks: one that is free, where `signal` is negative.
/// Throws: `contract_error` where it is taken or none is free.
[[nodiscard]] int claim_signal(int signal);

/// `function at file:line` for each frame, innermost first. Thread: any but the captured one's.
[[nodiscard]] std::vector<std::string> symbolise(const stack_copy& copy);

}  // namespace fermata::detail
