// SPDX-License-Identifier: MIT
// Asking a thread for a copy of its stack.
//
// The request carries the address of `shared`, which must outlive a signal that is delivered late:
// a capture whose request was never answered leaves it behind.

#include "stack_capture.hpp"

#include <fermata/loop/error.hpp>

#include <fmt/format.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>

namespace fermata::detail {

struct stack_capture::shared {
  std::uintptr_t low = 0;  // of the thread's stack
  std::uintptr_t high = 0;
  sem_t answered{};
  std::atomic<int> asked{0};  // orders a reader before the next copy; signals order nothing
  bool is_unwinding = false;
  stack_copy copy;

  void fill(const ucontext_t& from) noexcept;
};

namespace {

#if defined(__x86_64__)
void copy_registers(const mcontext_t& from, stack_copy& to) noexcept {
  // DWARF: rax rdx rcx rbx rsi rdi rbp rsp r8 to r15 rip
  constexpr int order[] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                           REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                           REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
  for (const int r : order) {
    to.registers[to.register_count++] = static_cast<std::uintptr_t>(from.gregs[r]);
  }
  to.pc = static_cast<std::uintptr_t>(from.gregs[REG_RIP]);
  to.sp = static_cast<std::uintptr_t>(from.gregs[REG_RSP]);
}
#elif defined(__aarch64__)
void copy_registers(const mcontext_t& from, stack_copy& to) noexcept {
  for (const auto r : from.regs) to.registers[to.register_count++] = r;
  to.registers[to.register_count++] = from.sp;
  to.pc = from.pc;
  to.sp = from.sp;
}
#else
void copy_registers(const mcontext_t&, stack_copy&) noexcept {}  // no stack on other processors
#endif

// Reads what other frames hold, which no sanitizer may judge.
[[gnu::no_sanitize("address", "thread", "undefined")]] void copy_words(const std::uintptr_t* from,
                                                                       std::uintptr_t* to,
                                                                       std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    const volatile std::uintptr_t* word = from + i;
    to[i] = *word;
  }
}

}  // namespace

void stack_capture::shared::fill(const ucontext_t& from) noexcept {
  is_unwinding = std::uncaught_exceptions() > 0;
  copy.words = 0;
  copy.register_count = 0;
  copy.pc = copy.sp = 0;
  if (is_unwinding) return;
  copy_registers(from.uc_mcontext, copy);
  if (copy.sp < low || copy.sp >= high || copy.sp % sizeof(std::uintptr_t) != 0) return;
  copy.words = std::min((high - copy.sp) / sizeof(std::uintptr_t), stack_copy::most_words);
  copy_words(reinterpret_cast<const std::uintptr_t*>(copy.sp), copy.stack, copy.words);
}

// Async-signal-safe: reads memory and posts a semaphore.
void stack_capture::on_signal(int, siginfo_t* info, void* context) {
  if (info->si_code != SI_QUEUE || info->si_pid != getpid()) return;
  const int code = errno;
  auto* const to = static_cast<shared*>(info->si_value.sival_ptr);
  static_cast<void>(to->asked.load(std::memory_order_acquire));  // what was read of the last copy
  to->fill(*static_cast<const ucontext_t*>(context));
  sem_post(&to->answered);
  errno = code;
}

stack_capture::stack_capture(int signal)
    : shared_(new shared), thread_(static_cast<pid_t>(syscall(SYS_gettid))), signal_(signal) {
  sem_init(&shared_->answered, 0, 0);
  static_cast<void>(std::uncaught_exceptions());  // what it reads exists before a signal comes
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    void* low = nullptr;
    std::size_t size = 0;
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    shared_->low = reinterpret_cast<std::uintptr_t>(low);
    shared_->high = shared_->low + size;
  }
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigaction(signal, &action, nullptr);
}

stack_capture::~stack_capture() {
  if (is_asked_ && sem_trywait(&shared_->answered) != 0) return;  // it may still answer
  sem_destroy(&shared_->answered);
  delete shared_;
}

const stack_copy* stack_capture::take(std::chrono::nanoseconds most) {
  if (is_asked_ && sem_trywait(&shared_->answered) != 0) return nullptr;
  is_asked_ = false;
  siginfo_t info{};
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_ptr = shared_;
  shared_->asked.fetch_add(1, std::memory_order_release);
  if (syscall(SYS_rt_tgsigqueueinfo, getpid(), thread_, signal_, &info) != 0) return nullptr;
  is_asked_ = true;
  timespec until{};
  clock_gettime(CLOCK_REALTIME, &until);
  const std::int64_t ns = until.tv_nsec + most.count();
  until.tv_sec += ns / 1'000'000'000;
  until.tv_nsec = ns % 1'000'000'000;
  int code = 0;
  do {
    code = sem_timedwait(&shared_->answered, &until);
  } while (code != 0 && errno == EINTR);
  if (code != 0) return nullptr;  // it may answer later, and is asked again only then
  is_asked_ = false;
  return shared_->is_unwinding ? nullptr : &shared_->copy;
}

int claim_signal(int signal) {
  const auto is_free = [](int s) {
    struct sigaction now {};
    return sigaction(s, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 &&
           now.sa_handler == SIG_DFL;
  };
  if (signal > 0) {
    struct sigaction now {};
    if (sigaction(signal, nullptr, &now) == 0 && signal >= SIGRTMIN && signal <= SIGRTMAX) {
      return signal;
    }
    throw contract_error(
        fmt::format("signal {} cannot carry stacks: use SIGRTMIN to SIGRTMAX", signal));
  }
  for (int s = SIGRTMIN; s <= SIGRTMAX; ++s) {
    if (is_free(s)) return s;
  }
  throw contract_error("no real-time signal is free for stacks");
}

}  // namespace fermata::detail
