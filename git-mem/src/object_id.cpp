// SPDX-License-Identifier: MIT
#include <fermata/git_mem/object_id.hpp>

#include <algorithm>

namespace fermata::git_mem {

std::string_view type_name(object_type type) noexcept {
  switch (type) {
    case object_type::commit:
      return "commit";
    case object_type::tree:
      return "tree";
    case object_type::blob:
      return "blob";
    case object_type::tag:
      return "tag";
  }
  return "object";
}

namespace {

int digit_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<object_id> object_id::from_hex(std::string_view hex) noexcept {
  if (hex.size() != hex_digits) return std::nullopt;
  object_id id;
  for (std::size_t i = 0; i < size_bytes; ++i) {
    const int high = digit_value(hex[2 * i]);
    const int low = digit_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    id.bytes_[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return id;
}

std::string object_id::hex(std::size_t digits) const {
  constexpr std::string_view alphabet = "0123456789abcdef";
  std::string text;
  text.reserve(hex_digits);
  for (const std::uint8_t byte : bytes_) {
    text += alphabet[byte >> 4];
    text += alphabet[byte & 15];
  }
  text.resize(std::min(digits, hex_digits));
  return text;
}

}  // namespace fermata::git_mem
