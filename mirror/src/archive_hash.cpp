// SPDX-License-Identifier: MIT
#include "hashing.hpp"

#include <fermata/mirror/archive_hash.hpp>

#include <algorithm>

namespace fermata::mirror {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

char lowered(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int digit(char c) {
  const std::size_t at = hex_digits.find(lowered(c));
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

std::optional<archive_hash> read_hex(hash_kind kind, std::string_view hex) {
  std::array<std::uint8_t, 64> bytes{};
  if (hex.size() != 2 * hash_bytes(kind)) return std::nullopt;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit(hex[i]);
    const int low = digit(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i / 2] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return archive_hash(kind, {bytes.data(), hash_bytes(kind)});
}

std::optional<hash_kind> read_kind(std::string_view name) {
  for (const hash_kind kind : hash_kinds) {
    const std::string_view known = to_string(kind);
    const bool same = std::equal(name.begin(), name.end(), known.begin(), known.end(),
                                 [](char a, char b) { return lowered(a) == b; });
    if (same) return kind;
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(hash_kind kind) noexcept {
  switch (kind) {
    case hash_kind::md5:
      return "md5";
    case hash_kind::sha256:
      return "sha256";
    case hash_kind::sha512:
      break;
  }
  return "sha512";
}

std::size_t hash_bytes(hash_kind kind) noexcept {
  switch (kind) {
    case hash_kind::md5:
      return 16;
    case hash_kind::sha256:
      return 32;
    case hash_kind::sha512:
      break;
  }
  return 64;
}

archive_hash::archive_hash(hash_kind kind, std::span<const std::uint8_t> bytes) noexcept
    : kind_(kind) {
  std::copy_n(bytes.begin(), std::min(bytes.size(), hash_bytes(kind)), bytes_.begin());
}

std::optional<archive_hash> archive_hash::parse(std::string_view text) noexcept {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return read_hex(hash_kind::md5, text);
  const auto kind = read_kind(text.substr(0, equals));
  return kind ? read_hex(*kind, text.substr(equals + 1)) : std::nullopt;
}

std::optional<archive_hash> archive_hash::from_path(std::string_view kind,
                                                    std::string_view hex) noexcept {
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (std::any_of(kind.begin(), kind.end(), is_upper)) return std::nullopt;
  if (std::any_of(hex.begin(), hex.end(), is_upper)) return std::nullopt;
  const auto known = read_kind(kind);
  return known ? read_hex(*known, hex) : std::nullopt;
}

std::string archive_hash::hex() const { return hex_of(bytes()); }

std::string archive_hash::text() const { return std::string(to_string(kind_)) + "=" + hex(); }

std::string archive_hash::path() const {
  const std::string digits = hex();
  return std::string(to_string(kind_)) + "/" + digits.substr(0, 2) + "/" + digits;
}

}  // namespace fermata::mirror
