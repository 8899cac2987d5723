// SPDX-License-Identifier: MIT
#include "collision_check.hpp"

#include "sha1_rounds.hpp"

#include <bit>
#include <cstddef>
#include <cstring>
#include <utility>

namespace fermata::git_mem::detail {

namespace {

// Bit `bit_a` of word `a` and bit `bit_b` of word `b` differ, or else are equal; if not, the
// differences in `attacks` are impossible.
struct condition {
  std::uint8_t a, bit_a, b, bit_b;
  bool differ;
  std::uint32_t attacks;
};

// The unavoidable conditions of the 32 differences below (paper of 2017), taken by a program from
// the published implementation, and compared with it on random and on structured schedules:
// docs/rationale.md. In the order of distance of the words, bits, and first word.
// clang-format off
constexpr condition conditions[] = {
    {37, 1, 37, 6, false, 0x00004000}, {60, 0, 61, 5, true, 0x00010004},
    {61, 0, 62, 5, true, 0x00020008}, {62, 0, 63, 5, true, 0x00080020},
    {63, 0, 64, 5, true, 0x00100080}, {35, 1, 36, 6, true, 0x00000410},
    {36, 1, 37, 6, true, 0x00041040}, {37, 1, 38, 6, true, 0x00004100},
    {39, 1, 40, 6, true, 0x00401010}, {40, 1, 41, 6, true, 0x01004040},
    {41, 1, 42, 6, true, 0x04040100}, {44, 1, 45, 6, true, 0x00404000},
    {61, 1, 62, 6, true, 0x00000001}, {62, 1, 63, 6, true, 0x00000002},
    {63, 1, 64, 6, true, 0x00010004}, {61, 2, 62, 7, true, 0x00040010},
    {62, 2, 63, 7, true, 0x00000040}, {63, 2, 64, 7, true, 0x00000100},
    {36, 4, 37, 4, true, 0x00000800}, {37, 4, 38, 4, true, 0x00002000},
    {38, 4, 39, 4, true, 0x00008000}, {39, 6, 40, 1, false, 0x00000400},
    {40, 6, 41, 1, false, 0x00401000}, {41, 6, 42, 1, false, 0x01004000},
    {42, 6, 43, 1, false, 0x04040000}, {45, 6, 46, 1, false, 0x00400000},
    {46, 6, 47, 1, false, 0x01000010}, {47, 6, 48, 1, false, 0x04000040},
    {48, 6, 49, 1, false, 0x00000100}, {49, 6, 50, 1, false, 0x00000400},
    {50, 6, 51, 1, false, 0x00041000}, {51, 6, 52, 1, false, 0x00004000},
    {53, 6, 54, 1, false, 0x00400000}, {54, 6, 55, 1, false, 0x01000000},
    {55, 6, 56, 1, false, 0x04000000}, {40, 29, 41, 29, false, 0x800a00a2},
    {41, 29, 42, 29, false, 0x00180284}, {42, 29, 43, 29, false, 0x00300a08},
    {43, 29, 44, 29, false, 0x00a12820}, {44, 29, 45, 29, false, 0x0283a080},
    {45, 29, 46, 29, false, 0x0a0a8200}, {46, 29, 47, 29, false, 0x18180801},
    {47, 29, 48, 29, false, 0x30302002}, {48, 29, 49, 29, false, 0x60a08004},
    {49, 29, 50, 29, false, 0xc2810008}, {50, 29, 51, 29, false, 0x8a020020},
    {51, 29, 52, 29, false, 0x18080080}, {52, 29, 53, 29, false, 0x30110200},
    {53, 29, 54, 29, false, 0x60220800}, {54, 29, 55, 29, false, 0xc0882000},
    {55, 29, 56, 29, false, 0x82108000}, {56, 29, 57, 29, false, 0x08200000},
    {57, 29, 58, 29, false, 0x10800000}, {58, 29, 59, 29, false, 0x22000000},
    {59, 29, 60, 29, false, 0x08000000}, {38, 1, 40, 1, true, 0x00000400},
    {45, 1, 47, 1, true, 0x01000000}, {46, 1, 48, 1, true, 0x04000000},
    {36, 4, 38, 4, true, 0x28000000}, {37, 4, 39, 4, true, 0x50000001},
    {38, 4, 40, 4, true, 0xa0000002}, {39, 4, 41, 4, true, 0x40000005},
    {40, 4, 42, 4, true, 0x8000000a}, {57, 4, 59, 29, false, 0x40000000},
    {40, 6, 42, 6, false, 0x00000010}, {41, 6, 43, 6, false, 0x00000040},
    {42, 6, 44, 6, false, 0x00000110}, {43, 6, 45, 6, false, 0x00000440},
    {44, 6, 46, 6, false, 0x00001110}, {45, 6, 47, 6, false, 0x00004440},
    {46, 6, 48, 6, false, 0x00001100}, {47, 6, 49, 6, false, 0x00004400},
    {48, 6, 50, 6, false, 0x00041000}, {49, 6, 51, 6, false, 0x00004000},
    {51, 6, 53, 6, false, 0x00400000}, {52, 6, 54, 6, false, 0x01000000},
    {53, 6, 55, 6, false, 0x04000000}, {44, 29, 46, 29, true, 0x00000025},
    {45, 29, 47, 29, true, 0x0000008a}, {46, 29, 48, 29, true, 0x00000224},
    {47, 29, 49, 29, true, 0x00000888}, {48, 29, 50, 29, true, 0x00002220},
    {49, 29, 51, 29, true, 0x00008880}, {50, 29, 52, 29, true, 0x00012200},
    {37, 4, 40, 29, false, 0x50020021}, {38, 4, 41, 29, false, 0xa0080082},
    {39, 4, 42, 29, false, 0x40100205}, {40, 4, 43, 29, false, 0x8020080a},
    {41, 4, 44, 29, false, 0x00812025}, {42, 4, 45, 29, false, 0x0202808a},
    {43, 4, 46, 29, false, 0x08080225}, {44, 4, 47, 29, false, 0x1010088a},
    {45, 4, 48, 29, false, 0x20202224}, {46, 4, 49, 29, false, 0x40808888},
    {47, 4, 50, 29, false, 0x82012220}, {48, 4, 51, 29, false, 0x08028880},
    {49, 4, 52, 29, false, 0x10092200}, {50, 4, 53, 29, false, 0x20128800},
    {51, 4, 54, 29, false, 0x40282000}, {52, 4, 55, 29, false, 0x80908000},
    {53, 4, 56, 29, false, 0x02200000}, {54, 4, 57, 29, false, 0x08800000},
    {55, 4, 58, 29, false, 0x12000000}, {56, 4, 59, 29, false, 0x28000000},
    {51, 29, 54, 29, true, 0x000a0800}, {53, 29, 56, 29, true, 0x00308000},
    {55, 29, 58, 29, true, 0x00800000}, {56, 29, 59, 29, true, 0x0a000000},
    {58, 29, 61, 29, true, 0x10000000}, {47, 1, 51, 1, true, 0x00040000},
    {50, 1, 54, 1, true, 0x00400000}, {51, 1, 55, 1, true, 0x01000000},
    {52, 1, 56, 1, true, 0x04000000}, {35, 3, 39, 28, false, 0x00082000},
    {36, 3, 40, 28, false, 0x00100000}, {37, 3, 41, 28, false, 0x00200000},
    {38, 3, 42, 28, false, 0x00800000}, {39, 3, 43, 28, false, 0x02000000},
    {40, 3, 44, 28, false, 0x08000000}, {41, 3, 45, 28, false, 0x10000000},
    {42, 3, 46, 28, false, 0x20000000}, {43, 3, 47, 28, false, 0x40000000},
    {44, 3, 48, 28, false, 0x80000000}, {35, 4, 39, 29, false, 0x00080084},
    {36, 4, 40, 29, false, 0x00110208}, {37, 4, 41, 29, false, 0x00200800},
    {38, 4, 42, 29, false, 0x00802000}, {39, 4, 43, 29, false, 0x02008000},
    {40, 4, 44, 29, false, 0x08000000}, {41, 4, 45, 29, false, 0x10000000},
    {42, 4, 46, 29, false, 0x20000000}, {43, 4, 47, 29, false, 0x40000000},
    {44, 4, 48, 29, false, 0x80000000}, {57, 4, 61, 29, false, 0x10000000},
    {58, 4, 62, 29, false, 0x20000000}, {59, 4, 63, 29, false, 0x40000000},
    {60, 4, 64, 29, false, 0x80000000}, {35, 5, 39, 30, false, 0x00004000},
    {37, 5, 41, 30, false, 0x00400000}, {38, 5, 42, 30, false, 0x01000000},
    {39, 5, 43, 30, false, 0x04000000}, {59, 5, 63, 30, false, 0x00000001},
    {60, 5, 64, 30, false, 0x00000002}, {36, 0, 41, 30, true, 0x00400000},
    {37, 0, 42, 30, true, 0x01000000}, {38, 0, 43, 30, true, 0x04000000},
    {58, 0, 63, 30, true, 0x00000001}, {59, 0, 64, 30, true, 0x00000002},
    {35, 30, 40, 28, true, 0x00100000}, {36, 30, 41, 28, true, 0x00200000},
    {37, 30, 42, 28, true, 0x00800000}, {38, 30, 43, 28, true, 0x02000000},
    {39, 30, 44, 28, true, 0x08000000}, {48, 29, 55, 29, true, 0x0000a000},
    {42, 1, 50, 1, true, 0x00000400}, {43, 1, 51, 1, true, 0x00001000},
};
// clang-format on

// What the same distance and the same bits have in common, in consecutive words: a lane each.
template <std::size_t Lanes>
struct window {
  std::uint8_t first = 0, distance = 0, bit_a = 0, bit_b = 0;
  bool differ = false;
  std::array<std::uint32_t, Lanes> attacks{};

  constexpr bool takes(const condition& c) const {
    return distance == c.b - c.a && bit_a == c.bit_a && bit_b == c.bit_b && differ == c.differ &&
           c.a >= first && c.a < first + Lanes;
  }
};

template <std::size_t Lanes>
struct window_list {
  std::array<window<Lanes>, std::size(conditions)> of{};
  std::size_t count = 0;

  constexpr window_list() {
    for (const condition& c : conditions) {
      if (count == 0 || !of[count - 1].takes(c)) {
        of[count++] = {c.a, static_cast<std::uint8_t>(c.b - c.a), c.bit_a, c.bit_b, c.differ, {}};
      }
      of[count - 1].attacks[c.a - of[count - 1].first] = c.attacks;
    }
  }
};

template <std::size_t Lanes>
constexpr window_list<Lanes> windows;

template <std::size_t Lanes>
struct lanes {
  using words [[gnu::vector_size(4 * Lanes)]] = std::uint32_t;
  using signs [[gnu::vector_size(4 * Lanes)]] = std::int32_t;
};

// The tested bit goes to the sign, and the sign over its lane.
template <std::size_t Lanes, std::size_t N>
[[gnu::always_inline]] inline void judge(const std::uint32_t* w,
                                         typename lanes<Lanes>::words& impossible) {
  constexpr const window<Lanes>& k = windows<Lanes>.of[N];
  typename lanes<Lanes>::words a, b, attacks;
  std::memcpy(&a, w + k.first, sizeof a);
  std::memcpy(&b, w + k.first + k.distance, sizeof b);
  std::memcpy(&attacks, k.attacks.data(), sizeof attacks);
  const auto differ = reinterpret_cast<typename lanes<Lanes>::words>(
      reinterpret_cast<typename lanes<Lanes>::signs>((a << (31 - k.bit_a)) ^
                                                     (b << (31 - k.bit_b))) >>
      31);
  impossible |= attacks & (k.differ ? ~differ : differ);
}

template <std::size_t Lanes, std::size_t... N>
[[gnu::always_inline]] inline std::uint32_t judge_all(const std::uint32_t* w,
                                                      std::index_sequence<N...>) {
  typename lanes<Lanes>::words impossible{};
  (judge<Lanes, N>(w, impossible), ...);
  std::array<std::uint32_t, Lanes> each;
  std::memcpy(each.data(), &impossible, sizeof impossible);
  std::uint32_t all = 0;
  for (const std::uint32_t lane : each) all |= lane;
  return ~all;
}

template <std::size_t Lanes>
[[gnu::always_inline]] inline std::uint32_t judge_all(const sha1_schedule& s) {
  return judge_all<Lanes>(s.w.data(), std::make_index_sequence<windows<Lanes>.count>());
}

// A disturbance vector of Manuel's classes I(k, b) and II(k, b), and a step at which an attack that
// follows it has no difference in the state.
struct disturbance {
  int type, k, b, quiet_step;
};

constexpr disturbance disturbances[32] = {
    {1, 43, 0, 58}, {1, 44, 0, 58}, {1, 45, 0, 58}, {1, 46, 0, 58}, {1, 46, 2, 58}, {1, 47, 0, 58},
    {1, 47, 2, 58}, {1, 48, 0, 58}, {1, 48, 2, 58}, {1, 49, 0, 58}, {1, 49, 2, 58}, {1, 50, 0, 65},
    {1, 50, 2, 65}, {1, 51, 0, 65}, {1, 51, 2, 65}, {1, 52, 0, 65}, {2, 45, 0, 58}, {2, 46, 0, 58},
    {2, 46, 2, 58}, {2, 47, 0, 58}, {2, 48, 0, 58}, {2, 49, 0, 58}, {2, 49, 2, 58}, {2, 50, 0, 65},
    {2, 50, 2, 65}, {2, 51, 0, 65}, {2, 51, 2, 65}, {2, 52, 0, 65}, {2, 53, 0, 65}, {2, 54, 0, 65},
    {2, 55, 0, 65}, {2, 56, 0, 65},
};

// A disturbance in step t is undone by the five steps that follow: so the message's difference is
// the sum of six words of the vector. The vector obeys the expansion, forwards and backwards; 16
// words from k on define it.
constexpr std::array<std::uint32_t, 80> difference(const disturbance& d) {
  constexpr int before = 5;  // words in front of step 0
  std::array<std::uint32_t, 80 + before> v{};
  const auto at = [&v](int t) -> std::uint32_t& { return v[static_cast<std::size_t>(t + before)]; };
  at(d.k + 15) = std::rotl(1U, d.b);
  if (d.type == 2) at(d.k + 1) = at(d.k + 3) = std::rotl(0x80000000U, d.b);
  for (int t = d.k + 16; t < 80; ++t) {
    at(t) = std::rotl(at(t - 3) ^ at(t - 8) ^ at(t - 14) ^ at(t - 16), 1);
  }
  for (int t = d.k - 1; t >= -before; --t) {
    at(t) = std::rotr(at(t + 16), 1) ^ at(t + 13) ^ at(t + 8) ^ at(t + 2);
  }
  std::array<std::uint32_t, 80> m{};
  for (int t = 0; t < 80; ++t) {
    m[static_cast<std::size_t>(t)] = at(t) ^ std::rotl(at(t - 1), 5) ^ at(t - 2) ^
                                     std::rotl(at(t - 3), 30) ^ std::rotl(at(t - 4), 30) ^
                                     std::rotl(at(t - 5), 30);
  }
  return m;
}

constexpr auto differences = [] {
  std::array<std::array<std::uint32_t, 80>, 32> all{};
  for (std::size_t i = 0; i < 32; ++i) all[i] = difference(disturbances[i]);
  return all;
}();

}  // namespace

std::uint32_t possible_attacks(const sha1_schedule& s) noexcept { return judge_all<4>(s); }

#ifdef __x86_64__
[[gnu::target("avx2")]] std::uint32_t possible_attacks_avx2(const sha1_schedule& s) noexcept {
  return judge_all<8>(s);
}
#endif

namespace {

// `w` is expanded of a block that leads from `out - last` to `out`; `m` is its difference to the
// block that is guessed, of which no difference is left in the state before step `Quiet`.
template <std::size_t Quiet>
bool meets(const std::uint32_t* w,
           const std::array<std::uint32_t, 80>& m,
           const sha1_state& last,
           const sha1_state& out) noexcept {
  std::array<std::uint32_t, 80> other;
  for (std::size_t t = 0; t < 80; ++t) other[t] = w[t] ^ m[t];
  const sha1_state quiet = rounds_back<80, Quiet>(last, w);
  const sha1_state end = rounds<Quiet, 80>(quiet, other.data());
  const sha1_state begin = rounds_back<Quiet, 0>(quiet, other.data());
  bool same = true;
  for (std::size_t i = 0; i < 5; ++i) same = same && begin[i] + end[i] == out[i];
  return same;
}

}  // namespace

bool is_attack(std::uint32_t candidates,
               const std::uint32_t* block,
               const sha1_state& in,
               const sha1_state& out) noexcept {
  sha1_schedule own;
  expand(block, own);
  sha1_state last;
  for (std::size_t i = 0; i < 5; ++i) last[i] = out[i] - in[i];
  bool found = false;
  for (; candidates != 0 && !found; candidates &= candidates - 1) {
    const auto n = static_cast<std::size_t>(std::countr_zero(candidates));
    const auto meets_at = disturbances[n].quiet_step == 58 ? meets<58> : meets<65>;
    found = meets_at(own.w.data(), differences[n], last, out);
  }
  return found;
}

}  // namespace fermata::git_mem::detail
