// SPDX-License-Identifier: MIT
#include "sha1_rounds.hpp"

#include <fermata/git_mem/failure.hpp>

#include <algorithm>
#include <cstring>
#include <vector>

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace fermata::git_mem::detail {

namespace {

std::uint32_t load_word(const std::uint8_t* p) noexcept {
  return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
}

// What the conditions leave is rare, so it may be slow.
[[gnu::noinline]] bool is_attack_on(std::uint32_t candidates,
                                    const std::uint8_t* data,
                                    const sha1_state& in,
                                    const sha1_state& out) noexcept {
  std::uint32_t block[16];
  for (std::size_t t = 0; t < 16; ++t) block[t] = load_word(data + 4 * t);
  return is_attack(candidates, block, in, out);
}

template <verify How>
bool hash_portable(sha1_state& state, const std::uint8_t* data, std::size_t n) {
  bool harmless = true;
  sha1_schedule s;
  for (; n > 0; --n, data += 64) {
    std::uint32_t block[16];
    for (std::size_t t = 0; t < 16; ++t) block[t] = load_word(data + 4 * t);
    expand(block, s);
    const sha1_state in = state;
    state = rounds<0, 80>(state, s.w.data());
    for (std::size_t i = 0; i < 5; ++i) state[i] += in[i];
    if constexpr (How == verify::collisions) {
      const std::uint32_t candidates = possible_attacks(s);
      if (candidates != 0 && is_attack(candidates, block, in, state)) harmless = false;
    }
  }
  return harmless;
}

#ifdef __x86_64__

[[gnu::target("sse4.1")]] void store_state(sha1_state& to, __m128i abcd, __m128i e) noexcept {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to.data()), _mm_shuffle_epi32(abcd, 0x1b));
  to[4] = static_cast<std::uint32_t>(_mm_extract_epi32(e, 3));
}

// Four steps an instruction. The words of a vector stand last first, as the instructions want them.
// `Possible` is the check for this CPU, or null.
template <std::uint32_t (*Possible)(const sha1_schedule&) noexcept>
[[gnu::target("sha,sse4.1")]] bool hash_sha_ni(sha1_state& state,
                                               const std::uint8_t* data,
                                               std::size_t n) {
  const __m128i order = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
  bool harmless = true;
  sha1_schedule s;
  const auto* from = reinterpret_cast<const __m128i*>(state.data());
  __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128(from), 0x1b);
  __m128i e = _mm_set_epi32(static_cast<int>(state[4]), 0, 0, 0);
  for (; n > 0; --n, data += 64) {
    const __m128i abcd_in = abcd;
    const __m128i e_in = e;
    __m128i w[4];
    __m128i before = e;  // abcd of four steps ago; its a becomes e
#pragma GCC unroll 20
    for (int g = 0; g < 20; ++g) {
      __m128i& now = w[g & 3];
      if (g < 4) {
        now = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data) + g), order);
      } else {
        now = _mm_sha1msg2_epu32(
            _mm_xor_si128(_mm_sha1msg1_epu32(now, w[(g + 1) & 3]), w[(g + 2) & 3]), w[(g + 3) & 3]);
      }
      if (Possible != nullptr && g >= 8 && g <= 16) {
        _mm_store_si128(reinterpret_cast<__m128i*>(s.w.data()) + g, _mm_shuffle_epi32(now, 0x1b));
      }
      const __m128i last = abcd;
      const __m128i mixed = g == 0 ? _mm_add_epi32(before, now) : _mm_sha1nexte_epu32(before, now);
      switch (g / 5) {
        case 0:
          abcd = _mm_sha1rnds4_epu32(abcd, mixed, 0);
          break;
        case 1:
          abcd = _mm_sha1rnds4_epu32(abcd, mixed, 1);
          break;
        case 2:
          abcd = _mm_sha1rnds4_epu32(abcd, mixed, 2);
          break;
        default:
          abcd = _mm_sha1rnds4_epu32(abcd, mixed, 3);
          break;
      }
      before = last;
    }
    abcd = _mm_add_epi32(abcd, abcd_in);
    e = _mm_sha1nexte_epu32(before, e_in);
    if (Possible != nullptr) {
      if (const std::uint32_t candidates = Possible(s); candidates != 0) {
        sha1_state in, out;
        store_state(in, abcd_in, e_in);
        store_state(out, abcd, e);
        if (is_attack_on(candidates, data, in, out)) harmless = false;
      }
    }
  }
  store_state(state, abcd, e);
  return harmless;
}

bool has_sha_ni() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

#endif

std::vector<sha1_engine> find_engines() {
  std::vector<sha1_engine> found;
#ifdef __x86_64__
  if (has_sha_ni() && __builtin_cpu_supports("avx2")) {
    found.push_back({"sha-ni", hash_sha_ni<nullptr>, hash_sha_ni<possible_attacks_avx2>});
  }
#endif
  found.push_back({"portable", hash_portable<verify::fast>, hash_portable<verify::collisions>});
  return found;
}

}  // namespace

}  // namespace fermata::git_mem::detail

namespace fermata::git_mem {

std::span<const sha1_engine> sha1_engines() noexcept {
  static const std::vector<sha1_engine> engines = detail::find_engines();
  return engines;
}

void sha1::update(std::span<const std::uint8_t> piece) noexcept {
  if (piece.empty()) return;
  const std::size_t begun = size_ % begun_.size();
  size_ += piece.size();
  if (begun != 0) {
    const std::size_t n = std::min(piece.size(), begun_.size() - begun);
    std::memcpy(begun_.data() + begun, piece.data(), n);
    if (begun + n < begun_.size()) return;
    harmless_ = hash_(state_, begun_.data(), 1) && harmless_;
    piece = piece.subspan(n);
  }
  const std::size_t blocks = piece.size() / begun_.size();
  if (blocks > 0) harmless_ = hash_(state_, piece.data(), blocks) && harmless_;
  piece = piece.subspan(blocks * begun_.size());
  if (!piece.empty()) std::memcpy(begun_.data(), piece.data(), piece.size());
}

object_id sha1::finish() {
  const std::uint64_t bits = size_ * 8;
  const std::size_t begun = size_ % begun_.size();
  std::array<std::uint8_t, 128> end{};
  std::memcpy(end.data(), begun_.data(), begun);
  end[begun] = 0x80;
  const std::size_t n = begun < 56 ? 1 : 2;
  for (std::size_t i = 0; i < 8; ++i) {
    end[64 * n - 1 - i] = static_cast<std::uint8_t>(bits >> (8 * i));
  }
  harmless_ = hash_(state_, end.data(), n) && harmless_;
  if (!harmless_) {
    throw failure(reason::corrupt, "cannot name it: a SHA-1 collision attack is in its content");
  }
  std::array<std::uint8_t, object_id::size_bytes> digest;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<std::uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
  }
  return object_id::from_bytes(digest.data());
}

}  // namespace fermata::git_mem
