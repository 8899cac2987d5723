// SPDX-License-Identifier: MIT
// What a thread keeps of the blocks that it frees, and what it gives back.

#include <fermata/loop/block_cache.hpp>
#include <fermata/loop/event_loop.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

using fermata::time_point;
using fermata::detail::block_cache;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t size = 256;
constexpr std::size_t ready = block_cache::kept_bytes;

std::vector<void*> take(std::size_t bytes) {
  std::vector<void*> blocks;
  for (std::size_t n = 0; n < bytes; n += size) blocks.push_back(block_cache::take(size));
  return blocks;
}
void give_back(const std::vector<void*>& blocks) {
  for (void* b : blocks) block_cache::give_back(b, size);
}

// On a thread of its own.
template <typename F>
void on_a_thread(F f) {
  std::thread(f).join();
}

// How many blocks of `now` stand where some of `before` did.
std::size_t count_again(std::vector<void*> before, const std::vector<void*>& now) {
  std::sort(before.begin(), before.end());
  return static_cast<std::size_t>(std::count_if(now.begin(), now.end(), [&](void* p) {
    return std::binary_search(before.begin(), before.end(), p);
  }));
}

}  // namespace

TEST_CASE("blocks of all sizes are aligned and apart", "[loop][block_cache]") {
  struct piece {
    unsigned char* at;
    std::size_t bytes;
    unsigned char mark;
  };
  std::vector<piece> pieces;
  bool is_aligned = true;
  for (std::size_t i = 0; i < 40'000; ++i) {
    const std::size_t bytes = i % (block_cache::largest_bytes + 20);
    auto* const at = static_cast<unsigned char*>(block_cache::take(bytes));
    is_aligned = is_aligned && reinterpret_cast<std::uintptr_t>(at) % 16 == 0;
    const piece p{at, bytes, static_cast<unsigned char>(i % 251)};
    std::memset(p.at, p.mark, p.bytes);
    pieces.push_back(p);
  }
  CHECK(is_aligned);
  CHECK(std::all_of(pieces.begin(), pieces.end(), [](const piece& p) {
    return std::all_of(p.at, p.at + p.bytes, [&p](unsigned char c) { return c == p.mark; });
  }));
  for (const piece& p : pieces) block_cache::give_back(p.at, p.bytes);
}

TEST_CASE("what was in use at once is there when it is wanted again", "[loop][block_cache]") {
  if (!fermata::detail::block_cache::is_in_use()) return;
  std::size_t kept = 0;
  std::size_t again = 0;
  std::size_t kept_meanwhile = 1;
  on_a_thread([&] {
    const std::vector<void*> first = take(64 * ready);
    give_back(first);
    kept = block_cache::bytes_kept();
    const std::vector<void*> second = take(64 * ready);
    again = count_again(first, second);
    kept_meanwhile = block_cache::bytes_kept();
    give_back(second);
  });
  CHECK(kept > 62 * ready);
  CHECK(again > 64 * ready / size * 9 / 10);
  CHECK(kept_meanwhile < 3 * ready);
}

TEST_CASE("blocks that another thread frees come back to who took them", "[loop][block_cache]") {
  if (!fermata::detail::block_cache::is_in_use()) return;
  const std::vector<void*> first = take(64 * ready);
  std::size_t kept = 0;
  on_a_thread([&] {
    give_back(take(size));  // it has memory of its own
    give_back(first);
    kept = block_cache::bytes_kept();
  });
  CHECK(kept <= 2 * ready);
  const std::vector<void*> second = take(60 * ready);
  CHECK(count_again(first, second) > 58 * ready / size);
  give_back(second);
}

TEST_CASE("a new thread has what an ended one left in use", "[loop][block_cache]") {
  if (!fermata::detail::block_cache::is_in_use()) return;
  std::vector<void*> left;
  on_a_thread([&] { left = take(16 * ready); });
  give_back(left);  // nobody's thread
  std::size_t again = 0;
  on_a_thread([&] {
    const std::vector<void*> now = take(12 * ready);
    again = count_again(left, now);
    give_back(now);
  });
  CHECK(again > 10 * ready / size);
}

TEST_CASE("threads that give each other blocks never have one at once", "[loop][block_cache]") {
  constexpr int threads = 4;
  constexpr int rounds = 300;
  std::atomic<int> spoilt{0};
  std::array<std::atomic<void*>, 64> table{};
  const auto work = [&](unsigned seed) {
    for (int i = 0; i < rounds * 64; ++i) {
      seed = seed * 1664525 + 1013904223;
      auto* const mine = static_cast<std::uint64_t*>(block_cache::take(size));
      std::fill_n(mine, size / 8, reinterpret_cast<std::uintptr_t>(mine));
      auto* const other =
          static_cast<std::uint64_t*>(table[(seed >> 16) % table.size()].exchange(mine));
      if (other == nullptr) continue;
      const auto mark = reinterpret_cast<std::uintptr_t>(other);
      spoilt += std::count(other, other + size / 8, mark) != size / 8 ? 1 : 0;
      block_cache::give_back(other, size);
    }
  };
  std::vector<std::thread> all;
  for (unsigned i = 0; i < threads; ++i) all.emplace_back(work, i);
  for (std::thread& t : all) t.join();
  for (std::atomic<void*>& left : table) {
    if (left != nullptr) block_cache::give_back(left, size);
  }
  CHECK(spoilt == 0);
}

TEST_CASE("memory that nobody wants is given back in pieces", "[loop][block_cache]") {
  if (!fermata::detail::block_cache::is_in_use()) return;
  std::vector<std::size_t> kept;
  time_point next{};
  on_a_thread([&] {
    give_back(take(32 * ready));
    time_point now{1s};
    block_cache::trim(now);                           // it is empty from here on
    block_cache::trim(now + block_cache::keep_time);  // nobody has wanted it
    for (int i = 0; i < 2; ++i) {
      now = block_cache::next_trim();
      kept.push_back(block_cache::bytes_kept());
      block_cache::trim(now);
    }
    for (int i = 0; i < 100; ++i) block_cache::trim(now += block_cache::keep_time);
    kept.push_back(block_cache::bytes_kept());
    next = block_cache::next_trim();
  });
  REQUIRE(kept.size() == 3);
  CHECK(kept[0] - kept[1] == block_cache::trim_slabs * 64 * 1024);
  CHECK(kept[2] == ready);
  CHECK(next == time_point::max());
}

TEST_CASE("memory that is wanted again and again is kept", "[loop][block_cache]") {
  if (!fermata::detail::block_cache::is_in_use()) return;
  std::size_t kept = 0;
  on_a_thread([&] {
    time_point now{1s};
    for (int i = 0; i < 10; ++i) {
      give_back(take(32 * ready));
      block_cache::trim(now += block_cache::keep_time);
    }
    kept = block_cache::bytes_kept();
  });
  CHECK(kept > 30 * ready);
}

TEST_CASE("a loop that sleeps wakes up to give back what nobody wants", "[loop][block_cache]") {
  if (!fermata::detail::block_cache::is_in_use()) return;
  struct until_given_back {
    const bool& is_late;
    [[nodiscard]] bool is_pending() const { return !is_late && block_cache::bytes_kept() > ready; }
    void get() && {}
  };
  bool is_late = false;
  std::size_t kept = 0;
  std::uint64_t polls = 0;
  on_a_thread([&] {
    fermata::event_loop loop;
    const fermata::timer late(loop, 60s, [&] { is_late = true; });
    give_back(take(32 * ready));
    loop.run([&] { return until_given_back{is_late}; });
    kept = block_cache::bytes_kept();
    polls = loop.metrics().polls;
  });
  CHECK_FALSE(is_late);
  CHECK(kept <= ready);
  CHECK(polls < 100);  // it has slept in between
}

TEST_CASE("a loop gives back what nobody wants", "[loop][block_cache]") {
  if (!fermata::detail::block_cache::is_in_use()) return;
  bool was_more = false;
  std::size_t kept = 0;
  on_a_thread([&] {
    fermata::event_loop loop;
    give_back(take(32 * ready));
    was_more = block_cache::next_trim() != time_point::max();
    while (block_cache::next_trim() != time_point::max()) loop.step();
    kept = block_cache::bytes_kept();
  });
  CHECK(was_more);
  CHECK(kept < 2 * ready);
}
