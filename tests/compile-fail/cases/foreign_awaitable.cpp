// SPDX-License-Identifier: MIT
// What is not ours knows neither cancel nor the slice: our coroutines wait for promises and pauses.
// refused: no matching function

#include <fermata/promise/promise.hpp>

fermata::promise<> wait_for_ever() {
#ifdef FERMATA_MISUSE
  co_await std::suspend_always();
#else
  co_await fermata::never();
#endif
}
