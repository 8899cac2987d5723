// SPDX-License-Identifier: MIT
// zlib, fed by pieces.

#include <fermata/http/inflater.hpp>
#include <fermata/loop/error.hpp>

#include <zlib.h>

#include <new>
#include <string_view>
#include <utility>

namespace fermata::http {
namespace {

constexpr int gzip_bits = 15 + 16;
constexpr int zlib_bits = 15;
constexpr int raw_bits = -15;

// RFC 1950: method 8 in the low bits, and the two bytes a multiple of 31. Of one byte alone the
// method has to do.
bool is_zlib_header(std::string_view in) {
  const auto first = static_cast<unsigned char>(in[0]);
  if ((first & 0x0f) != Z_DEFLATED || first >> 4 > 7) return false;
  return in.size() < 2 || ((first << 8) + static_cast<unsigned char>(in[1])) % 31 == 0;
}

}  // namespace

void inflater::ends::operator()(z_stream_s* z) const noexcept {
  inflateEnd(z);
  delete z;
}

inflater::inflater(format f) : format_(f) {}

void inflater::give(std::string input) {
  input_ = std::move(input);
  used_ = 0;
}

void inflater::begin() {
  const std::string_view rest = std::string_view(input_).substr(used_);
  const int bits = format_ == format::gzip ? gzip_bits
                   : is_zlib_header(rest)  ? zlib_bits
                                           : raw_bits;
  if (stream_ == nullptr) {
    auto z = std::make_unique<z_stream>();
    if (inflateInit2(z.get(), bits) != Z_OK) throw std::bad_alloc();
    stream_.reset(z.release());
  } else if (inflateReset2(stream_.get(), bits) != Z_OK) {
    throw std::bad_alloc();
  }
  state_ = state::within;
}

std::string inflater::next() {
  std::string out;
  while (used_ < input_.size() || state_ == state::within) {
    if (state_ == state::between && format_ == format::deflate)
      throw error("bytes follow the end of the compressed body");
    if (state_ != state::within) begin();
    if (out.empty()) out.resize(slice_bytes);
    z_stream& z = *stream_;
    z.next_in = reinterpret_cast<Bytef*>(input_.data() + used_);
    z.avail_in = static_cast<uInt>(input_.size() - used_);
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    const int code = inflate(&z, Z_NO_FLUSH);
    used_ = input_.size() - z.avail_in;
    if (code == Z_MEM_ERROR) throw std::bad_alloc();
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
      throw error(std::string("the compressed body is damaged: ") +
                  (z.msg != nullptr ? z.msg : "it needs a dictionary"));
    }
    const std::size_t made = out.size() - z.avail_out;
    if (code == Z_STREAM_END) state_ = state::between;
    if (made > 0) {
      out.resize(made);
      return out;
    }
    if (code == Z_BUF_ERROR) break;  // it wants more
  }
  return {};
}

}  // namespace fermata::http
