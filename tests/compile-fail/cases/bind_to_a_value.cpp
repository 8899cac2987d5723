// SPDX-License-Identifier: MIT
// bind goes on with a promise; map is for values.
// refused: could not convert

#include <fermata/promise/promise.hpp>

fermata::promise<int> twice(const fermata::promise<int>& p) {
#ifdef FERMATA_MISUSE
  return p.bind([](int n) { return 2 * n; });
#else
  return p.map([](int n) { return 2 * n; });
#endif
}
