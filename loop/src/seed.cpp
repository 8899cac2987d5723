// SPDX-License-Identifier: MIT
// The order that a seed makes: where a check pauses, and in which order what paused comes back.

#include <fermata/loop/event_loop.hpp>

namespace fermata {

std::uint64_t event_loop::next_random() noexcept {  // splitmix64
  random_ += 0x9e3779b97f4a7c15U;
  std::uint64_t z = random_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

bool event_loop::pauses_by_seed() noexcept { return next_random() % 4 == 0; }

// Parts the nodes by one random bit each, a few times: as if sorted by a random number.
void event_loop::shuffle(node_list& nodes) noexcept {
  constexpr int rounds = 8;
  for (int i = 0; i < rounds; ++i) {
    node_list front;
    node_list back;
    while (ready_node* n = nodes.pop_front()) (next_random() % 2 == 0 ? front : back).push_back(*n);
    while (ready_node* n = front.pop_front()) nodes.push_back(*n);
    while (ready_node* n = back.pop_front()) nodes.push_back(*n);
  }
}

}  // namespace fermata
