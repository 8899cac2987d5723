// SPDX-License-Identifier: MIT
// Raw deflate with a gzip frame of our own around it, because zlib's frame keeps its CRC to itself
// and a later build must put together blocks that zlib has not seen.
//
// The stream is reset for each block and told what the block may copy from: its bytes then depend
// on these two texts alone, not on what zlib's tables still hold.

#include "block_deflater.hpp"

#include "hashing.hpp"

#include <fermata/loop/error.hpp>

#include <libdeflate.h>
#include <openssl/sha.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

// SHA256_*: EVP would set itself up at its first use, in a step of whoever has no `service`.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace fermata::mirror {
namespace {

// Deflate, no flags (opam 2.6 refuses FEXTRA and FHCRC), no time, no system.
constexpr std::string_view gzip_header("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", 10);
// The last deflate block: final, fixed codes, empty. All blocks before it end at a byte.
constexpr std::string_view last_deflate_block("\x03\x00", 2);

// Level 6 would make the index 1.4 % smaller and take a quarter longer.
constexpr int level = 5;
// Not 8: a deflate block then has half the symbols, and its end, which cannot be cut, takes 0.25 ms
// instead of 0.4.
constexpr int memory_level = 7;

[[noreturn]] void fail(std::string_view what, int code) {
  throw error("cannot " + std::string(what) + " the index (zlib " + std::to_string(code) + ")");
}

std::array<char, 4> little_endian(std::uint32_t n) {
  return {static_cast<char>(n), static_cast<char>(n >> 8), static_cast<char>(n >> 16),
          static_cast<char>(n >> 24)};
}

}  // namespace

void block_deflater::ends::operator()(z_stream_s* z) const noexcept {
  deflateEnd(z);
  delete z;
}
void block_deflater::ends::operator()(SHA256state_st* c) const noexcept { delete c; }

block_deflater::block_deflater(std::uint64_t limit_bytes)
    : out_(limit_bytes), digest_(new SHA256_CTX) {
  auto fresh = std::make_unique<z_stream>();
  const int code =
      deflateInit2(fresh.get(), level, Z_DEFLATED, -15, memory_level, Z_DEFAULT_STRATEGY);
  if (code != Z_OK) fail("start deflating", code);
  stream_.reset(fresh.release());
  SHA256_Init(digest_.get());
  put(gzip_header);
}

void block_deflater::begin_group(bool is_apart) {
  if (is_group_new_ || is_apart) text_.clear();  // the group before had no text
  is_group_new_ = true;
}

void block_deflater::write(std::string_view piece) {
  if (piece.empty()) return;
  if (block_.tar_bytes == 0) begin_block();
  block_.crc = libdeflate_crc32(block_.crc, piece.data(), piece.size());
  block_.tar_bytes += piece.size();
  input_bytes_ += piece.size();
  keep_text(piece);
  run(piece, Z_NO_FLUSH);
}

void block_deflater::begin_block() {
  block_.tar_offset = input_bytes_;
  block_.gzip_offset = out_.size();
  const std::size_t reach = std::min<std::size_t>(text_.size(), index_reach_bytes);
  int code = deflateReset(stream_.get());
  if (code == Z_OK && reach > 0) {
    const char* from = text_.data() + (text_.size() - reach);
    code = deflateSetDictionary(stream_.get(), reinterpret_cast<const Bytef*>(from),
                                static_cast<uInt>(reach));
  }
  if (code != Z_OK) fail("go on deflating", code);
}

void block_deflater::keep_text(std::string_view piece) {
  if (std::exchange(is_group_new_, false)) text_.clear();
  if (text_.size() > 2 * index_reach_bytes) text_.erase(0, text_.size() - index_reach_bytes);
  text_ += piece;
}

void block_deflater::end_block() {
  if (block_.tar_bytes == 0) return;
  run({}, Z_SYNC_FLUSH);
  block_.gzip_bytes = out_.size() - block_.gzip_offset;
  keep(block_);
  block_ = {};
}

void block_deflater::adopt_block(const index_block& earlier) {
  index_block block = earlier;
  block.tar_offset = input_bytes_;
  block.gzip_offset = out_.size() - block.gzip_bytes;
  input_bytes_ += block.tar_bytes;
  keep(block);
}

void block_deflater::keep(const index_block& block) {
  crc_ = static_cast<std::uint32_t>(
      crc32_combine(crc_, block.crc, static_cast<z_off_t>(block.tar_bytes)));
  blocks_.push_back(block);
}

void block_deflater::finish() {
  end_block();
  put(last_deflate_block);
  const auto crc = little_endian(crc_);
  const auto length = little_endian(static_cast<std::uint32_t>(input_bytes_));
  put({crc.data(), crc.size()});
  put({length.data(), length.size()});
}

std::string block_deflater::etag() {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hashed{};
  SHA256_Final(hashed.data(), digest_.get());
  return '"' + hex_of(std::span(hashed).first(16)) + '"';  // 128 bits name a version well enough
}

void block_deflater::run(std::string_view input, int flush) {
  z_stream& z = *stream_;
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
  z.avail_in = static_cast<uInt>(input.size());
  bool room_was_left = false;
  while (!room_was_left) {  // only then zlib has given out all that it will
    std::array<char, 8 * 1024> room;
    z.next_out = reinterpret_cast<Bytef*>(room.data());
    z.avail_out = static_cast<uInt>(room.size());
    const int code = deflate(&z, flush);
    if (code != Z_OK && code != Z_BUF_ERROR) fail("deflate", code);
    put({room.data(), room.size() - z.avail_out});
    room_was_left = z.avail_out != 0;
  }
}

void block_deflater::put(std::string_view bytes) {
  if (bytes.empty()) return;
  SHA256_Update(digest_.get(), bytes.data(), bytes.size());
  out_.append(std::as_bytes(std::span(bytes)));
}

git_mem::growing_range block_deflater::take_bytes() {
  out_.seal();
  return std::move(out_);
}

}  // namespace fermata::mirror
