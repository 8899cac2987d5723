// SPDX-License-Identifier: MIT
// Memory of blocks: what is freed is used again.

#include <fermata/git_mem/memory.hpp>

#include <catch2/catch.hpp>
#include <sys/resource.h>

#include <cstring>
#include <thread>
#include <utility>
#include <vector>

using fermata::git_mem::byte_block;

namespace {

long faults_of_thread() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt;
}

void fill(byte_block& b, int with) { std::memset(b.data(), with, b.size()); }

}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("blocks that follow each other need no new pages", "[git-mem][memory]") {
  constexpr std::size_t size = 320'000;
  constexpr int rounds = 50;
  const long before = faults_of_thread();
  for (int i = 0; i < rounds; ++i) {
    std::vector<byte_block> blocks;
    for (int n = 0; n < 3; ++n) fill(blocks.emplace_back(size - static_cast<std::size_t>(i)), i);
  }
  CHECK(faults_of_thread() - before < 2000);  // 12,000 if each were new
}
#endif

TEST_CASE("a block is as large as was asked for, whatever was freed before", "[git-mem][memory]") {
  for (const std::size_t kept : {std::size_t{32'768}, std::size_t{100'000}, std::size_t{524'288}}) {
    for (const std::size_t size : {kept / 2 - 1, kept / 2, kept - 1, kept, kept + 1, kept * 2}) {
      byte_block first(kept);
      fill(first, 1);
      CHECK_FALSE(first.release_slice());
      byte_block second(size);
      fill(second, 2);
      byte_block third(size);  // not the same again
      fill(third, 3);
      CHECK(second.size() == size);
      CHECK(second.data()[size - 1] == 2);
      second = std::move(third);
      CHECK(second.data()[size - 1] == 3);
    }
  }
}

TEST_CASE("a block may be freed by another thread, also by one that ends", "[git-mem][memory]") {
  struct late {
    std::vector<byte_block> blocks;
  };
  std::vector<byte_block> mine;
  for (int i = 0; i < 40; ++i) mine.emplace_back(100'000);
  std::thread([&mine] {
    static thread_local late at_end;  // its destructor runs after that of what is kept
    at_end.blocks = std::move(mine);
    const byte_block one(100'000);
  }).join();
  byte_block after(100'000);
  fill(after, 1);
  CHECK(after.data()[99'999] == 1);
}
