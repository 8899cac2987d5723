// SPDX-License-Identifier: MIT
/// gzip and deflate bodies, inflated in slices.
///
/// Shape:  `give` input, then `next` until it gives nothing; `is_complete` tells at the end of the
///         input whether it ended where it may. gzip may have several members one after another;
///         deflate is zlib's format or, as some servers send it, without its header. How much may
///         come out is for the caller to limit: 32 KiB of input can be 32 MiB.
/// Pauses: never; a call of `next` makes at most `slice_bytes`, in about 0.1 ms.
/// Thread: the owner's.
/// Throws: `error` where the input is no such stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

struct z_stream_s;

namespace fermata::http {

class inflater {
public:
  static constexpr std::size_t slice_bytes = 32 * 1024;
  enum class format : std::uint8_t { gzip, deflate };

  explicit inflater(format f);

  /// Only after `next` has given nothing.
  void give(std::string input);
  [[nodiscard]] std::string next();
  [[nodiscard]] bool is_complete() const noexcept { return state_ != state::within; }

private:
  enum class state : std::uint8_t { begin, within, between };
  struct ends {
    void operator()(z_stream_s* z) const noexcept;
  };
  void begin();

  format format_;
  state state_ = state::begin;
  std::unique_ptr<z_stream_s, ends> stream_;
  std::string input_;
  std::size_t used_ = 0;
};

}  // namespace fermata::http
