// SPDX-License-Identifier: MIT
// What a thread keeps of the blocks that it frees, and what it gives back.

#include <fermata/loop/block_cache.hpp>
#include <fermata/loop/event_loop.hpp>

#include <catch2/catch.hpp>

#include <thread>
#include <vector>

using fermata::time_point;
using fermata::detail::block_cache;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t size = 256;
constexpr std::size_t always = block_cache::kept_bytes;

void use_at_once(std::size_t bytes) {
  std::vector<void*> blocks;
  for (std::size_t n = 0; n < bytes; n += size) blocks.push_back(block_cache::take(size));
  for (void* b : blocks) block_cache::give_back(b, size);
}

// On a thread of its own, which begins with nothing.
template <typename F>
void on_a_thread(F f) {
  std::thread(f).join();
}

}  // namespace

TEST_CASE("a thread keeps what it has had in use at once, up to a limit", "[loop][block_cache]") {
  if (!fermata::detail::caches_blocks) return;
  std::size_t some = 0;
  std::size_t more = 0;
  on_a_thread([&] {
    use_at_once(2 * always);
    some = block_cache::bytes_kept();
    use_at_once(4 * block_cache::most_bytes);
    more = block_cache::bytes_kept();
  });
  CHECK(some == 2 * always);
  CHECK(more == block_cache::most_bytes);
}

TEST_CASE("a thread keeps little of what others have taken", "[loop][block_cache]") {
  if (!fermata::detail::caches_blocks) return;
  std::vector<void*> blocks;
  for (std::size_t n = 0; n < 4 * always; n += size) blocks.push_back(block_cache::take(size));
  std::size_t kept = 0;
  on_a_thread([&] {
    use_at_once(size);
    for (void* b : blocks) block_cache::give_back(b, size);
    kept = block_cache::bytes_kept();
  });
  CHECK(kept == always + size);
}

TEST_CASE("blocks that nobody wants are given back in pieces", "[loop][block_cache]") {
  if (!fermata::detail::caches_blocks) return;
  std::vector<std::size_t> kept;
  time_point next{};
  on_a_thread([&] {
    use_at_once(6 * always);
    time_point now{1s};
    block_cache::trim(now);                           // puts them aside
    block_cache::trim(now + block_cache::keep_time);  // nobody has wanted them
    for (int i = 0; i < 2; ++i) {
      now = block_cache::next_trim();
      kept.push_back(block_cache::bytes_kept());
      block_cache::trim(now);
    }
    for (int i = 0; i < 100; ++i) block_cache::trim(now += block_cache::keep_time);
    kept.push_back(block_cache::bytes_kept());
    next = block_cache::next_trim();
  });
  constexpr std::size_t piece = block_cache::trim_blocks * size;
  CHECK(kept == std::vector<std::size_t>{6 * always - piece, 6 * always - 2 * piece, always});
  CHECK(next == time_point::max());
}

TEST_CASE("blocks that are wanted again and again are kept", "[loop][block_cache]") {
  if (!fermata::detail::caches_blocks) return;
  std::size_t kept = 0;
  on_a_thread([&] {
    time_point now{1s};
    for (int i = 0; i < 10; ++i) {
      use_at_once(3 * always);
      block_cache::trim(now += block_cache::keep_time);
    }
    kept = block_cache::bytes_kept();
  });
  CHECK(kept == 3 * always);
}

TEST_CASE("a loop that sleeps wakes up to give back what nobody wants", "[loop][block_cache]") {
  if (!fermata::detail::caches_blocks) return;
  struct until_given_back {
    const bool& is_late;
    [[nodiscard]] bool is_pending() const { return !is_late && block_cache::bytes_kept() > always; }
    void get() && {}
  };
  bool is_late = false;
  std::size_t kept = 0;
  std::uint64_t polls = 0;
  on_a_thread([&] {
    fermata::event_loop loop;
    const fermata::timer late(loop, 60s, [&] { is_late = true; });
    use_at_once(5 * always);
    loop.run([&] { return until_given_back{is_late}; });
    kept = block_cache::bytes_kept();
    polls = loop.metrics().polls;
  });
  CHECK_FALSE(is_late);
  CHECK(kept <= always);
  CHECK(polls < 100);  // it has slept in between
}

TEST_CASE("a loop gives back what nobody wants", "[loop][block_cache]") {
  if (!fermata::detail::caches_blocks) return;
  bool was_more = false;
  std::size_t kept = 0;
  on_a_thread([&] {
    fermata::event_loop loop;
    use_at_once(5 * always);
    was_more = block_cache::next_trim() != time_point::max();
    while (block_cache::next_trim() != time_point::max()) loop.step();
    kept = block_cache::bytes_kept();
  });
  CHECK(was_more);
  CHECK(kept < 2 * always);
}
