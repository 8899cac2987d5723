// SPDX-License-Identifier: MIT
/// The framing of git's protocol: packets with four hex digits of length in front.
///
/// Shape:  `feed` pieces of any size from 1 byte, call `next` until it gives nothing.
/// Pauses: never; `feed` copies its piece once (64 KiB take 10 us), `next` is O(1).
/// Thread: any, one at a time.
/// Throws: `failure` (reason::protocol) with the byte of the stream.
/// Cost:   at most one packet (65,520 bytes) and one piece are held.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace fermata::git_mem {

enum class pkt_kind : std::uint8_t { data, flush, delimiter, response_end };

struct pkt {
  pkt_kind kind = pkt_kind::data;
  std::string_view payload;  ///< valid until the next call of `feed` or `next`

  /// The payload without the line end that text packets may have.
  [[nodiscard]] std::string_view line() const noexcept {
    return payload.ends_with('\n') ? payload.substr(0, payload.size() - 1) : payload;
  }
};

class pkt_reader {
public:
  static constexpr std::size_t largest_packet = 65520;  ///< with its header

  void feed(std::span<const std::byte> piece);
  [[nodiscard]] std::optional<pkt> next();

  /// Throws if the stream may not end here: inside a packet.
  void finish_input() const;

  /// Bytes of the stream up to the end of the last packet.
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }

private:
  std::string buffer_;
  std::size_t used_ = 0;
  std::uint64_t position_ = 0;
};

/// Appends a packet. Throws: contract_error over 65,516 bytes of payload.
void append_pkt(std::string& out, std::string_view payload);
void append_flush(std::string& out);
void append_delimiter(std::string& out);

/// `text` without control characters, cut to `limit` bytes: fit for a log or an error message.
[[nodiscard]] std::string printable(std::string_view text, std::size_t limit = 300);

}  // namespace fermata::git_mem
