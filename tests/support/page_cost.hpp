// SPDX-License-Identifier: MIT
// What the machine takes for memory that is new.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <new>

namespace fermata::test {

/// Microseconds until a page that was never touched can be written to; the least of three rounds.
inline double page_cost_us() {
  constexpr std::size_t page = 4096, pages = 4096;
  double least = 0;
  for (int round = 0; round < 3; ++round) {
    void* const at =
        ::mmap(nullptr, page * pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    ::madvise(at, page * pages, MADV_NOHUGEPAGE);
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < pages; ++i) static_cast<volatile char*>(at)[i * page] = 1;
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    ::munmap(at, page * pages);
    least = round == 0 ? took.count() / pages : std::min(least, took.count() / pages);
  }
  return least;
}

}  // namespace fermata::test
