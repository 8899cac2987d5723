// SPDX-License-Identifier: MIT
// Deflates one object after another in units of 8 KiB; one zlib state serves all.

#pragma once

#include "costs.hpp"

#include <zlib.h>

#include <cstdint>
#include <memory>
#include <span>

namespace fermata::git_mem::detail {

class deflater {
public:
  static constexpr std::size_t piece_bytes = 16 * 1024;  // the most that a unit yields

  deflater();
  deflater(const deflater&) = delete;
  deflater& operator=(const deflater&) = delete;
  ~deflater();

  // `content` lives until it is over.
  void start(std::span<const std::uint8_t> content) noexcept;

  // One unit; what it made is valid until the next one. `more` is false after the last.
  [[nodiscard]] std::span<const std::uint8_t> step(cost_ns& cost, bool& more);

private:
  z_stream z_{};
  std::span<const std::uint8_t> left_;
  std::unique_ptr<std::uint8_t[]> made_;
};

}  // namespace fermata::git_mem::detail
