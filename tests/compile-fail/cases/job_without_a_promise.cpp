// SPDX-License-Identifier: MIT
// What a scope forks is waited for, so it returns a promise.
// refused: what a scope forks returns a promise

#include <fermata/promise/scope.hpp>

void start(fermata::scope& s) {
#ifdef FERMATA_MISUSE
  s.fork([] { return 1; });
#else
  s.fork([] { return fermata::ready(); });
#endif
}
