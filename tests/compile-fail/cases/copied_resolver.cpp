// SPDX-License-Identifier: MIT
// A promise is settled once: its resolver has one owner.
// refused: use of deleted function

#include <fermata/promise/promise.hpp>

#include <utility>

fermata::resolver<int> hand_over(fermata::resolver<int>& r) {
#ifdef FERMATA_MISUSE
  return r;
#else
  return std::move(r);
#endif
}
