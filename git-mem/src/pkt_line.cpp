// SPDX-License-Identifier: MIT
#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/pkt_line.hpp>

#include <algorithm>

namespace fermata::git_mem {

namespace {

constexpr std::size_t header_bytes = 4;

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::size_t packet_length(std::string_view header, std::uint64_t position) {
  std::size_t length = 0;
  for (const char c : header) {
    const int digit = hex_value(c);
    if (digit < 0) {
      throw failure(reason::protocol, "protocol byte " + std::to_string(position) + ": \"" +
                                          printable(header) + "\" is no packet length");
    }
    length = length * 16 + static_cast<std::size_t>(digit);
  }
  if (length == 3 || length > pkt_reader::largest_packet) {
    throw failure(reason::protocol, "protocol byte " + std::to_string(position) +
                                        ": packet length " + std::to_string(length));
  }
  return length;
}

}  // namespace

void pkt_reader::feed(std::span<const std::byte> piece) {
  buffer_.erase(0, used_);
  used_ = 0;
  buffer_.append(reinterpret_cast<const char*>(piece.data()), piece.size());
}

std::optional<pkt> pkt_reader::next() {
  const std::string_view rest = std::string_view(buffer_).substr(used_);
  if (rest.size() < header_bytes) return std::nullopt;
  const std::size_t length = packet_length(rest.substr(0, header_bytes), position_);
  const std::size_t whole = std::max(length, header_bytes);
  if (rest.size() < whole) return std::nullopt;
  used_ += whole;
  position_ += whole;
  if (length < header_bytes) return pkt{static_cast<pkt_kind>(length + 1), {}};
  return pkt{pkt_kind::data, rest.substr(header_bytes, length - header_bytes)};
}

void pkt_reader::finish_input() const {
  if (used_ == buffer_.size()) return;
  throw failure(reason::protocol, "protocol byte " +
                                      std::to_string(position_ + buffer_.size() - used_) +
                                      ": the connection ended inside a packet");
}

void append_pkt(std::string& out, std::string_view payload) {
  const std::size_t length = payload.size() + header_bytes;
  if (length > pkt_reader::largest_packet) throw contract_error("packet is too long");
  constexpr std::string_view digits = "0123456789abcdef";
  for (int shift = 12; shift >= 0; shift -= 4) out += digits[(length >> shift) & 15];
  out += payload;
}

void append_flush(std::string& out) { out += "0000"; }
void append_delimiter(std::string& out) { out += "0001"; }

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  for (std::size_t i = 0; i < text.size() && out.size() < limit; ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool c1_control =
        c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (c1_control) {
      ++i;
      out += '?';
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += ' ';
    } else {
      out += c < 0x20 || c == 0x7f ? '?' : text[i];
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace fermata::git_mem
