// SPDX-License-Identifier: MIT
// What a scope forks is waited for, so it returns a promise.
// refused: no match for 'operator='

#include <fermata/promise/scope.hpp>

void start(fermata::scope& s) {
#ifdef FERMATA_MISUSE
  s.fork([] { return 1; });
#else
  s.fork([] { return fermata::ready(); });
#endif
}
