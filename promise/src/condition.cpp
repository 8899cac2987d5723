// SPDX-License-Identifier: MIT
// Waiting for a condition with a lock that is released meanwhile.

#include <fermata/promise/condition.hpp>

namespace fermata {
namespace {

// A cancel does not end this: who releases a lock for a while goes on with it, or not at all. The
// request is remembered for the caller. Rejects: `loop_closed`.
promise<bool> lock_again(mutex& m, mutex::guard& held) {
  bool was_cancelled = false;
  while (!held) {
    try {
      held = co_await m.lock();
    } catch (const cancelled&) {
      was_cancelled = true;
    }
  }
  co_return was_cancelled;
}

}  // namespace

promise<> condition::wait(mutex::guard& held) {
  mutex* const m = held.locked();
  held.unlock();
  std::exception_ptr failure;
  try {
    co_await wait();
  } catch (...) {
    failure = std::current_exception();
  }
  const bool was_cancelled = co_await lock_again(*m, held);
  if (was_cancelled && !failure) {
    notify_one();  // what this task does not make use of
    throw cancelled();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace fermata
