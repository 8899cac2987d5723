// SPDX-License-Identifier: MIT
// The steps of SHA-1 (FIPS 180-4), forwards and backwards.
//
// A step shifts the five words by one place and changes two. Here they stay where they are, and
// the names move: before step t the word `a` stands at -t mod 5, so before step 0 and after step 79
// all stand in order.
#pragma once

#include "collision_check.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace fermata::git_mem::detail {

// Written out: g++ makes pairs of a loop, which wait for each other.
template <std::size_t... N>
void expand_steps(std::uint32_t* w, std::index_sequence<N...>) noexcept {
  ((w[N + 16] = std::rotl(w[N + 13] ^ w[N + 8] ^ w[N + 2] ^ w[N], 1)), ...);
}
inline void expand(const std::uint32_t* block, sha1_schedule& s) noexcept {
  for (std::size_t t = 0; t < 16; ++t) s.w[t] = block[t];
  expand_steps(s.w.data(), std::make_index_sequence<sha1_schedule::words - 16>());
}

template <std::size_t T>
struct sha1_step {
  static constexpr std::size_t a = (80 - T) % 5, b = (81 - T) % 5, c = (82 - T) % 5,
                               d = (83 - T) % 5, e = (84 - T) % 5;

  [[gnu::always_inline]] static std::uint32_t sum(const sha1_state& s,
                                                  const std::uint32_t* w) noexcept {
    const std::uint32_t before = std::rotl(s[a], 5) + w[T];
    if constexpr (T < 20) return before + (s[d] ^ (s[b] & (s[c] ^ s[d]))) + 0x5a827999;
    if constexpr (T >= 20 && T < 40) return before + (s[b] ^ s[c] ^ s[d]) + 0x6ed9eba1;
    if constexpr (T >= 40 && T < 60) {
      return before + ((s[b] & s[c]) | (s[d] & (s[b] | s[c]))) + 0x8f1bbcdc;
    }
    return before + (s[b] ^ s[c] ^ s[d]) + 0xca62c1d6;
  }
  [[gnu::always_inline]] static void go(sha1_state& s, const std::uint32_t* w) noexcept {
    s[e] += sum(s, w);
    s[b] = std::rotl(s[b], 30);
  }
  [[gnu::always_inline]] static void undo(sha1_state& s, const std::uint32_t* w) noexcept {
    s[b] = std::rotr(s[b], 30);
    s[e] -= sum(s, w);
  }
};

// The words are parameters of their own, so that compilers keep them in registers.
template <std::size_t From, std::size_t... N>
sha1_state go_steps(sha1_state s, const std::uint32_t* w, std::index_sequence<N...>) noexcept {
  (sha1_step<From + N>::go(s, w), ...);
  return s;
}
template <std::size_t From, std::size_t... N>
sha1_state undo_steps(sha1_state s, const std::uint32_t* w, std::index_sequence<N...>) noexcept {
  (sha1_step<From - 1 - N>::undo(s, w), ...);
  return s;
}

// Steps `From` to `To - 1`.
template <std::size_t From, std::size_t To>
sha1_state rounds(const sha1_state& s, const std::uint32_t* w) noexcept {
  return go_steps<From>(s, w, std::make_index_sequence<To - From>());
}

// Undoes steps `From - 1` down to `To`.
template <std::size_t From, std::size_t To>
sha1_state rounds_back(const sha1_state& s, const std::uint32_t* w) noexcept {
  return undo_steps<From>(s, w, std::make_index_sequence<From - To>());
}

}  // namespace fermata::git_mem::detail
