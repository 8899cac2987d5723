// SPDX-License-Identifier: MIT
#include "inflater.hpp"

#include <algorithm>
#include <new>
#include <string>

namespace fermata::git_mem::detail {

namespace {

[[noreturn]] void bad(const std::string& why) { throw failure(reason::corrupt, why); }

}  // namespace

inflater::~inflater() {
  if (has_zlib_) inflateEnd(&z_);
}

// zlib's state is 7 KB in three pieces: most readers of one object never need it.
void inflater::begin_zlib() {
  begun_ = true;
  if (has_zlib_) {
    inflateReset(&z_);
  } else {
    if (inflateInit(&z_) != Z_OK) throw std::bad_alloc();
    has_zlib_ = true;
  }
}

void inflater::start(std::uint64_t size, std::uint8_t* out) {
  begun_ = false;
  size_ = size;
  done_ = consumed_ = 0;
  out_ = out;
  produced_ = {};
  if (out == nullptr && !window_) {
    window_ = std::make_unique_for_overwrite<std::uint8_t[]>(inflate_output_cut);
  }
}

// What is wrong, too long or not there yet is left to zlib, which then begins at the first byte.
bool inflater::inflate_at_once(std::span<const std::uint8_t> in, cost_ns& cost) {
  const bool is_fixed = in.size() > 2 && ((in[2] >> 1) & 3) == 1;  // its first block
  decoder& by = is_fixed ? fixed_ : dynamic_;
  if (!by) by.reset(libdeflate_alloc_decompressor());
  if (!by) throw std::bad_alloc();
  std::size_t used = 0;
  std::size_t made = 0;
  std::uint8_t none = 0;
  const libdeflate_result code =
      libdeflate_zlib_decompress_ex(by.get(), in.data(), in.size(), size_ == 0 ? &none : out_,
                                    static_cast<std::size_t>(size_), &used, &made);
  if (code != LIBDEFLATE_SUCCESS || made != size_) {
    cost += inflate_cost(in.size(), 0);
    return false;
  }
  consumed_ = used;
  done_ = made;
  produced_ = {out_, made};
  cost += inflate_cost(used, made);
  return true;
}

step_state inflater::step_whole(std::span<const std::uint8_t> in, cost_ns& cost, cost_ns allowed) {
  if (!begun_) {
    const bool try_at_once = out_ != nullptr && inflate_cost(in.size(), size_) <= allowed;
    if (try_at_once && inflate_at_once(in, cost)) return step_state::done;
    begin_zlib();
    if (try_at_once) return step_state::more;
  }
  return step(in, cost);
}

step_state inflater::step(std::span<const std::uint8_t> in, cost_ns& cost) {
  if (!begun_) {
    const bool whole = in.size() >= std::min<std::uint64_t>(size_ + 64, inflate_input_cut);
    const bool try_at_once = out_ != nullptr && size_ <= inflate_at_once_cut && whole;
    const auto some = in.first(std::min(in.size(), inflate_input_cut));
    if (try_at_once && inflate_at_once(some, cost)) return step_state::done;
    begin_zlib();
    if (try_at_once) return step_state::more;  // one of the two is enough for a unit
  }
  std::uint8_t excess = 0;
  const std::size_t offered = std::min(in.size(), inflate_input_cut);
  const std::uint64_t left = size_ - done_;
  const std::size_t room = std::min<std::uint64_t>(left, inflate_output_cut);
  std::uint8_t* const to = left == 0 ? &excess : out_ != nullptr ? out_ + done_ : window_.get();
  z_.next_in = const_cast<std::uint8_t*>(in.data());
  z_.avail_in = static_cast<uInt>(offered);
  z_.next_out = to;
  z_.avail_out = static_cast<uInt>(left == 0 ? 1 : room);
  // With Z_FINISH zlib copies nothing into its own window when the entry ends in this unit.
  const int code = inflate(&z_, left == room ? Z_FINISH : Z_NO_FLUSH);
  const std::size_t used = offered - z_.avail_in;
  const std::size_t made = static_cast<std::size_t>(z_.next_out - to);
  if (left == 0 && made > 0)
    bad("zlib data is longer than the " + std::to_string(size_) + " bytes declared");
  if (used == 0 && made == 0 && offered > 0 && code != Z_DATA_ERROR) bad("zlib data goes nowhere");
  consumed_ += used;
  done_ += made;
  produced_ = {to, made};
  cost += inflate_cost(used, made);
  return judge(code, in.size() - used, made, room);
}

step_state inflater::judge(int code, std::size_t in_left, std::size_t out, std::size_t room) {
  switch (code) {
    case Z_STREAM_END:
      if (done_ < size_) {
        bad("zlib data is " + std::to_string(done_) + " bytes, " + std::to_string(size_) +
            " declared");
      }
      return step_state::done;
    case Z_OK:
    case Z_BUF_ERROR:
      if (in_left == 0 && (out < room || room == 0)) return step_state::need_input;
      return step_state::more;
    case Z_NEED_DICT:
      bad("zlib data needs a dictionary (zlib 2)");
    case Z_MEM_ERROR:
      throw std::bad_alloc();
    default:
      bad(std::string("zlib data is damaged: ") + (z_.msg != nullptr ? z_.msg : "no reason given") +
          " (zlib " + std::to_string(code) + ")");
  }
}

}  // namespace fermata::git_mem::detail
