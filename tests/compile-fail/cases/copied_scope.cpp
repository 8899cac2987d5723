// SPDX-License-Identifier: MIT
// A scope ends with its body: it is borrowed, never copied.
// refused: use of deleted function

#include <fermata/promise/scope.hpp>

fermata::promise<> work() {
  return fermata::scope::run([](fermata::scope& s) {
#ifdef FERMATA_MISUSE
    fermata::scope kept = s;
#else
    fermata::scope& kept = s;
#endif
    kept.fork([] { return fermata::ready(); });
    return fermata::ready();
  });
}
