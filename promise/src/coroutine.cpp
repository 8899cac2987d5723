// SPDX-License-Identifier: MIT
// Suspending a coroutine, and the guard that forbids it.

#include <fermata/promise/promise.hpp>

namespace fermata::detail {

void coroutine_base::suspend(suspension* at, std::coroutine_handle<> self) {
  if (event_loop::current().task().no_pause > 0) {
    throw contract_error("a task suspends under a no_pause guard");
  }
  leave();
  self_ = self;
  waiting_ = at;
}

}  // namespace fermata::detail
