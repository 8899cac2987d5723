// SPDX-License-Identifier: MIT
// One gzip member of blocks, each deflated from a fresh state and ended by a full flush.
#pragma once

#include <fermata/git_mem/memory.hpp>
#include <fermata/mirror/index_builder.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct z_stream_s;
struct evp_md_ctx_st;

namespace fermata::mirror {

/// Shape: `write` pieces of at most `piece_bytes`, `end_block` where a block shall end, `finish`
///        once after the last block.
/// Cost:  a piece is 30 us; every 8192 symbols zlib gives out a block, then up to 300 us.
class block_deflater {
public:
  static constexpr std::size_t piece_bytes = 4 * 1024;

  block_deflater(int level, std::uint64_t limit_bytes);

  void write(std::string_view piece);
  void end_block();
  /// Appends a part of a block that was deflated earlier; `adopt_block` with its last part.
  void copy(std::string_view gzip_bytes) { put(gzip_bytes); }
  void adopt_block(const index_block& earlier);
  void finish();

  [[nodiscard]] std::uint64_t block_bytes() const noexcept { return block_.tar_bytes; }
  [[nodiscard]] std::uint64_t input_bytes() const noexcept { return input_bytes_; }
  [[nodiscard]] std::uint64_t output_bytes() const noexcept { return out_.size(); }
  [[nodiscard]] std::size_t block_count() const noexcept { return blocks_.size(); }

  /// After `finish`.
  [[nodiscard]] git_mem::growing_range take_bytes();
  [[nodiscard]] std::vector<index_block> take_blocks() { return std::move(blocks_); }
  [[nodiscard]] std::string etag();

private:
  struct ends {
    void operator()(z_stream_s* z) const noexcept;
    void operator()(evp_md_ctx_st* c) const noexcept;
  };
  void run(std::string_view input, int flush);
  void keep(const index_block& block);
  void put(std::string_view bytes);

  git_mem::growing_range out_;
  std::vector<index_block> blocks_;
  index_block block_;
  std::uint64_t input_bytes_ = 0;
  std::uint32_t crc_ = 0;
  std::unique_ptr<z_stream_s, ends> stream_;
  std::unique_ptr<evp_md_ctx_st, ends> digest_;
};

}  // namespace fermata::mirror
