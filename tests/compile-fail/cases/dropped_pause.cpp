// SPDX-License-Identifier: MIT
// A pause without co_await pauses nothing.
// refused: ignoring return value of 'fermata::pause_point fermata::maybe_pause(

#include <fermata/promise/pause.hpp>

fermata::promise<> count() {
  for (int i = 0; i < 1000; ++i) {
#ifdef FERMATA_MISUSE
    fermata::maybe_pause();
#else
    co_await fermata::maybe_pause();
#endif
  }
  co_return;
}
