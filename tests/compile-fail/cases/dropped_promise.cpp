// SPDX-License-Identifier: MIT
// A promise that nobody waits for is most often a forgotten co_await.
// refused: ignoring returned value of type 'fermata::promise<>'

#include <fermata/promise/promise.hpp>

fermata::promise<> save();

fermata::promise<> close_document() {
#ifdef FERMATA_MISUSE
  save();
#else
  co_await save();
#endif
  co_return;
}
