// SPDX-License-Identifier: MIT
// Inflates one entry of a pack in units; one state serves all entries. Small ones that are there as
// a whole take one call of libdeflate, which is faster but cannot pause; the others go by zlib.
// libdeflate keeps the fixed Huffman tables until a dynamic block needs others, and making them
// takes longer than inflating a small tree: entries that begin with a fixed block have a decoder of
// their own.
//
// Output goes to a place of exactly the declared size, or through a window of 16 KiB that the
// caller looks at after each unit (objects too large to be kept, and what is skipped).

#pragma once

#include "costs.hpp"

#include <fermata/git_mem/failure.hpp>

#include <libdeflate.h>
#include <zlib.h>

#include <cstdint>
#include <memory>
#include <span>

namespace fermata::git_mem::detail {

class inflater {
public:
  inflater() = default;
  inflater(const inflater&) = delete;
  inflater& operator=(const inflater&) = delete;
  ~inflater();

  // `out` null: through the window. An entry of `size` bytes follows.
  void start(std::uint64_t size, std::uint8_t* out);

  // One unit. Says done, more, or need_input (all of `in` is used). Throws `failure`.
  step_state step(std::span<const std::uint8_t> in, cost_ns& cost);

  // The same where `in` ends with the entry: at once if its price is at most `allowed`.
  step_state step_whole(std::span<const std::uint8_t> in, cost_ns& cost, cost_ns allowed);

  [[nodiscard]] std::uint64_t consumed() const noexcept { return consumed_; }  // since start
  [[nodiscard]] std::span<const std::uint8_t> produced() const noexcept { return produced_; }

private:
  struct frees {
    void operator()(libdeflate_decompressor* d) const noexcept { libdeflate_free_decompressor(d); }
  };
  using decoder = std::unique_ptr<libdeflate_decompressor, frees>;  // 11 KB, made when needed

  [[nodiscard]] bool inflate_at_once(std::span<const std::uint8_t> in, cost_ns& cost);
  void begin_zlib();
  [[nodiscard]] step_state judge(int code, std::size_t in_left, std::size_t out, std::size_t room);

  decoder fixed_;
  decoder dynamic_;
  z_stream z_{};
  bool has_zlib_ = false;
  bool begun_ = false;  // by zlib
  std::uint64_t size_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t consumed_ = 0;
  std::uint8_t* out_ = nullptr;
  std::span<const std::uint8_t> produced_;
  std::unique_ptr<std::uint8_t[]> window_;
};

}  // namespace fermata::git_mem::detail
