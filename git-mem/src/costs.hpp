// SPDX-License-Identifier: MIT
// What the units of work are declared to cost, and where they are cut.
//
// The figures are prices for the worst input, not for the common one: 2 KiB of empty dynamic
// deflate blocks take about 200 us and yield nothing, so a byte of input is priced at 100 ns
// although it usually takes 10. Declaring too much costs a clock reading more; too little costs a
// gap.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace fermata::git_mem::detail {

using cost_ns = std::chrono::nanoseconds;

inline constexpr std::size_t inflate_input_cut = 2048;
inline constexpr std::size_t inflate_at_once_cut = 8192;  // bytes that come out
inline constexpr std::size_t inflate_output_cut = 16 * 1024;
inline constexpr std::size_t hash_cut = 16 * 1024;
inline constexpr std::size_t copy_cut = 64 * 1024;
inline constexpr std::size_t delta_input_cut = 4096;
inline constexpr std::size_t scan_cut = 1024;  // list elements looked at in one unit

inline constexpr cost_ns operation_cost{300};

[[nodiscard]] constexpr cost_ns inflate_cost(std::size_t in, std::size_t out) noexcept {
  return cost_ns(200 + 100 * in + 5 * out);
}
[[nodiscard]] constexpr cost_ns hash_cost(std::size_t bytes) noexcept {
  return cost_ns(400 + 2 * bytes);
}
[[nodiscard]] constexpr cost_ns checksum_cost(std::size_t bytes) noexcept {
  return cost_ns(100 + bytes);
}
[[nodiscard]] constexpr cost_ns copy_cost(std::size_t bytes) noexcept {
  return cost_ns(100 + bytes / 2);
}

}  // namespace fermata::git_mem::detail
