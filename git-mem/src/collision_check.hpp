// SPDX-License-Identifier: MIT
// Tells blocks that were made for a collision of SHA-1, as Stevens does ("Counter-cryptanalysis",
// 2013): every feasible attack follows one of 32 known differences between its two messages, so the
// other message is guessed from each, and a block is hostile if both end in the same state.
//
// Guessing 32 times would cost 30 hashes. Each difference needs some bits of the expanded message
// to agree or to differ (Stevens and Shumow, "Speeding up detection of SHA-1 collision attacks
// using unavoidable attack conditions", 2017): 156 conditions, looked at side by side in the lanes
// of vectors, leave none of the 32 for 95 of 100 harmless blocks.
#pragma once

#include <fermata/git_mem/sha1.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace fermata::git_mem::detail {

using sha1_state = sha1_engine::state;

// The expanded message, and room for vectors that begin at its last words: what stands there, and
// in words that nobody has written, has no influence.
struct sha1_schedule {
  static constexpr std::size_t words = 80;
  alignas(32) std::array<std::uint32_t, words + 8> w;
};

// The differences that the conditions leave, a bit each. Only words 35 to 64 are looked at. The
// second is the same for a CPU with AVX2.
std::uint32_t possible_attacks(const sha1_schedule& s) noexcept;
std::uint32_t possible_attacks_avx2(const sha1_schedule& s) noexcept;

// Whether another block exists that leads from some state to `out`, by one of the `candidates`.
// `block` (16 words) has led from `in` to `out`.
bool is_attack(std::uint32_t candidates,
               const std::uint32_t* block,
               const sha1_state& in,
               const sha1_state& out) noexcept;

}  // namespace fermata::git_mem::detail
