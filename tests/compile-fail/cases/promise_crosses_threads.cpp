// SPDX-License-Identifier: MIT
// A promise belongs to its loop, also within what a function for another loop gives.
// refused: a promise belongs to its loop: it is no result for another
#include <fermata/promise/submit_to.hpp>

#include <vector>

fermata::promise<> one();
std::vector<fermata::promise<>> several();
int count();

void across(fermata::event_loop& other) {
#ifdef FERMATA_MISUSE
  auto p = fermata::submit_to(other, several);
#else
  auto p = fermata::submit_to(other, count);
#endif
  auto q = fermata::submit_to(other, one);
  fermata::cancel(p);
  fermata::cancel(q);
}
