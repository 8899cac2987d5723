// SPDX-License-Identifier: MIT
// `tail` takes its promise over: a handle that stays in the frame would keep the frame.
// refused: cannot bind rvalue reference of type
#include <fermata/promise/promise.hpp>

#include <utility>

fermata::promise<> countdown(int n) {
  if (n == 0) co_return;
  fermata::promise<> rest = countdown(n - 1);
#ifdef FERMATA_MISUSE
  co_await fermata::tail(rest);
#else
  co_await fermata::tail(std::move(rest));
#endif
}
