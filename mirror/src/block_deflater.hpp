// SPDX-License-Identifier: MIT
// One gzip member of blocks, each deflated with nothing but a piece of the text before it.
#pragma once

#include <fermata/git_mem/memory.hpp>
#include <fermata/mirror/index_builder.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct z_stream_s;
struct SHA256state_st;

namespace fermata::mirror {

/// What a block may copy from is the end of the text of its group or, in the first block of one, of
/// the group before: at most `index_reach_bytes`.
///
/// Shape: `begin_group`, `write` pieces of at most `piece_bytes`, `end_block` where a block shall
///        end, `finish` once after the last block.
/// Cost:  a piece is 25 us; the first of a block 50 us more for what it may copy from. Every 8192
///        symbols zlib gives out a deflate block, then up to 300 us.
class block_deflater {
public:
  static constexpr std::size_t piece_bytes = 4 * 1024;

  explicit block_deflater(std::uint64_t limit_bytes);

  /// `is_apart`: it copies nothing from the group before.
  void begin_group(bool is_apart);
  void write(std::string_view piece);
  void end_block();
  /// Appends a part of a block that was deflated earlier; `adopt_block` with its last part.
  void copy(std::string_view gzip_bytes) { put(gzip_bytes); }
  void adopt_block(const index_block& earlier);
  /// What a group of such blocks ends with, for the next group; in pieces.
  void recall(std::string_view text) { keep_text(text); }
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
    void operator()(SHA256state_st* c) const noexcept;
  };
  void keep_text(std::string_view piece);
  void keep(const index_block& block);
  void begin_block();
  void run(std::string_view input, int flush);
  void put(std::string_view bytes);

  git_mem::growing_range out_;
  std::vector<index_block> blocks_;
  index_block block_;
  std::uint64_t input_bytes_ = 0;
  std::uint32_t crc_ = 0;
  std::unique_ptr<z_stream_s, ends> stream_;
  std::string text_;           // the end of the group's, or of the one before
  bool is_group_new_ = false;  // text_ is still of the one before
  std::unique_ptr<SHA256state_st, ends> digest_;
};

}  // namespace fermata::mirror
