// SPDX-License-Identifier: MIT
#include "deflater.hpp"

#include <algorithm>
#include <new>

namespace fermata::git_mem::detail {

namespace {

constexpr std::size_t input_cut = 8 * 1024;

}  // namespace

deflater::deflater() : made_(std::make_unique<std::uint8_t[]>(piece_bytes)) {
  if (deflateInit(&z_, Z_DEFAULT_COMPRESSION) != Z_OK) throw std::bad_alloc();
}

deflater::~deflater() { deflateEnd(&z_); }

void deflater::start(std::span<const std::uint8_t> content) noexcept {
  deflateReset(&z_);
  left_ = content;
}

std::span<const std::uint8_t> deflater::step(cost_ns& cost, bool& more) {
  const std::size_t n = std::min(left_.size(), input_cut);
  z_.next_in = const_cast<Bytef*>(left_.data());  // zlib reads it only
  z_.avail_in = static_cast<uInt>(n);
  z_.next_out = made_.get();
  z_.avail_out = piece_bytes;
  const int code = ::deflate(&z_, n == left_.size() ? Z_FINISH : Z_NO_FLUSH);
  left_ = left_.subspan(n - z_.avail_in);
  more = code != Z_STREAM_END;
  cost += cost_ns(1000 + 25 * n);
  return {made_.get(), piece_bytes - z_.avail_out};
}

}  // namespace fermata::git_mem::detail
