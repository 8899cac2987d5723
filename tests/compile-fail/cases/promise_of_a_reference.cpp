// SPDX-License-Identifier: MIT
// A reference would outlive its object unseen: a promise holds a value or a pointer.
// refused: forming pointer to reference type 'int&'

#include <fermata/promise/promise.hpp>

#ifdef FERMATA_MISUSE
using found = int&;
#else
using found = int*;
#endif

void look_at(const fermata::promise<found>& p) {
  if (p.is_resolved()) {
    static_cast<void>(p.peek());
  }
}
