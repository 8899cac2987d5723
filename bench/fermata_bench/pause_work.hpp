// SPDX-License-Identifier: MIT
// Tasks that pause in turn: what c3 times by itself, and `trace` while it is kept.
#pragma once

#include <fermata/promise/combine.hpp>
#include <fermata/promise/pause.hpp>

#include <cstddef>
#include <utility>
#include <vector>

namespace bench {

inline constexpr std::size_t tasks = 1000;
inline constexpr std::size_t pauses_each = 50;

/// Each step counts one in `done`.
inline fermata::promise<> pause_often(std::size_t n, std::size_t& done) {
  for (std::size_t i = 0; i < n; ++i) {
    ++done;
    co_await fermata::pause();
  }
}

inline fermata::promise<> pause_side_by_side(std::size_t& done) {
  std::vector<fermata::promise<>> running;
  running.reserve(tasks);
  for (std::size_t i = 0; i < tasks; ++i) running.push_back(pause_often(pauses_each, done));
  return fermata::join(std::move(running));
}

}  // namespace bench
