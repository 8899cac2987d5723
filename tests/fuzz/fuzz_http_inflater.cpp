// SPDX-License-Identifier: MIT
// Compressed bodies of any bytes in pieces of any size.
//
// The first byte of an input chooses format and piece size. Beside not crashing: slices are no
// larger than they may be, and the same bytes give the same in one piece and in many. Of deflate
// that holds where its first two bytes come together: of one alone it has to be guessed whether it
// has zlib's header.

#include "replay.hpp"

#include <fermata/http/inflater.hpp>
#include <fermata/loop/error.hpp>

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using fermata::http::inflater;

constexpr std::size_t most_bytes = 4 << 20;

void require(bool holds) {
  if (!holds) std::abort();
}

std::string run(std::string_view text, inflater::format f, std::size_t piece) {
  inflater in(f);
  std::string out;
  bool first = true;
  try {
    while (!text.empty() && out.size() < most_bytes) {
      const std::size_t n = std::min(text.size(), first ? std::max<std::size_t>(piece, 2) : piece);
      first = false;
      in.give(std::string(text.substr(0, n)));
      text.remove_prefix(n);
      for (;;) {
        const std::string slice = in.next();
        require(slice.size() <= inflater::slice_bytes);
        if (slice.empty()) break;
        out += slice;
        if (out.size() >= most_bytes) return "too large";
      }
    }
  } catch (const fermata::error&) {
    return out + " failed";
  }
  return out + (in.is_complete() ? " complete" : " cut");
}

std::string packed(const std::string& text, int bits) {
  z_stream z{};
  require(deflateInit2(&z, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&z, text.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  require(deflate(&z, Z_FINISH) == Z_STREAM_END);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

}  // namespace

std::vector<std::string> fuzz_seeds() {
  constexpr int gzip_bits = 15 + 16;
  const std::string text = "what a server sends, what a server sends";
  const std::string gzip = packed(text, gzip_bits);
  return {
      '\x05' + gzip,
      '\x07' + gzip + packed("again", gzip_bits),
      '\x80' + packed(text, 15),
      '\x83' + packed(text, -15),
      '\x10' + packed(std::string(1 << 20, 'x'), gzip_bits),
      '\x06' + packed("", gzip_bits),
  };
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto f = (data[0] & 0x80) != 0 ? inflater::format::deflate : inflater::format::gzip;
  const std::string whole = run(text, f, text.size());
  const std::string cut = run(text, f, 1 + (data[0] & 0x7f));
  // What fails late in a piece has given less of it than smaller pieces give.
  if (!whole.ends_with(" failed")) require(whole == cut);
  return 0;
}
