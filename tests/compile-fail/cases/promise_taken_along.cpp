// SPDX-License-Identifier: MIT
// A detached function takes no promise: the count of its handles is its loop's.
// refused: a promise belongs to its loop: detach takes none along
#include <fermata/promise/detach.hpp>

int use(fermata::promise<int> p);
int plain(int n);

void start(fermata::promise<int> value) {
#ifdef FERMATA_MISUSE
  auto p = fermata::detach(use, value);
#else
  auto p = fermata::detach(plain, 1);
  fermata::cancel(value);
#endif
  fermata::cancel(p);
}
