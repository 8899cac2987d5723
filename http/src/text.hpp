// SPDX-License-Identifier: MIT
// The character classes and small cuts of RFC 9110 that several sources need.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace fermata::http::detail {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

constexpr bool is_alpha(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
    table[static_cast<unsigned char>(c)] = true;
  return table;
}
inline constexpr std::array<bool, 256> token_table = make_token_table();

constexpr bool is_token_char(char c) noexcept { return token_table[static_cast<unsigned char>(c)]; }

constexpr bool is_token(std::string_view s) noexcept {
  return !s.empty() && std::all_of(s.begin(), s.end(), is_token_char);
}

/// Control characters that no field value may hold: all but the tab.
constexpr bool is_forbidden_control(char c) noexcept {
  const auto u = static_cast<unsigned char>(c);
  return (u < 0x20 && c != '\t') || u == 0x7f;
}

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

/// Without the spaces and tabs around it.
constexpr std::string_view trim(std::string_view s) noexcept {
  const std::size_t first = s.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(" \t") - first + 1);
}

/// Takes the text before the next comma off `rest`. Not for lists with quoted strings.
constexpr std::string_view next_item(std::string_view& rest) noexcept {
  const std::size_t comma = rest.find(',');
  const std::string_view item = trim(rest.substr(0, comma));
  rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  return item;
}

constexpr std::optional<unsigned char> hex_digit(char c) noexcept {
  if (is_digit(c)) return static_cast<unsigned char>(c - '0');
  const char l = lower(c);
  if (l >= 'a' && l <= 'f') return static_cast<unsigned char>(l - 'a' + 10);
  return std::nullopt;
}

/// Reads decimal digits and nothing else; no sign, no space, no overflow.
inline std::optional<std::uint64_t> parse_decimal(std::string_view s) noexcept {
  std::uint64_t value = 0;
  if (s.empty() || !is_digit(s.front())) return std::nullopt;
  const auto [end, code] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (code != std::errc{} || end != s.data() + s.size()) return std::nullopt;
  return value;
}

}  // namespace fermata::http::detail
