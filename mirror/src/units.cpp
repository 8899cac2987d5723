// SPDX-License-Identifier: MIT
#include "units.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace fermata::mirror {
namespace {

using unit = std::pair<std::string_view, double>;

constexpr std::array<unit, 6> durations{
    {{"d", 86400e9}, {"h", 3600e9}, {"min", 60e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}}};
constexpr std::array<unit, 9> sizes{{{"TiB", 0x1p40},
                                     {"GiB", 0x1p30},
                                     {"MiB", 0x1p20},
                                     {"KiB", 0x1p10},
                                     {"TB", 1e12},
                                     {"GB", 1e9},
                                     {"MB", 1e6},
                                     {"kB", 1e3},
                                     {"B", 1}}};
constexpr double most = 3.2e18;  // 100 years in nanoseconds, and within 64 bits

bool equals_in_any_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if ((a[i] | 0x20) != (b[i] | 0x20)) return false;
  }
  return true;
}

template <std::size_t N>
std::optional<double> parse(std::string_view text, const std::array<unit, N>& units, bool bare) {
  double n = 0;
  const char* const end = text.data() + text.size();
  const auto [at, code] = std::from_chars(text.data(), end, n, std::chars_format::fixed);
  if (code != std::errc() || !(n >= 0)) return std::nullopt;
  std::string_view rest(at, static_cast<std::size_t>(end - at));
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  if (rest.empty()) return bare || n == 0 ? std::optional<double>(n) : std::nullopt;
  for (const auto& [name, factor] : units) {
    if (!equals_in_any_case(rest, name)) continue;
    return n * factor <= most ? std::optional<double>(n * factor) : std::nullopt;
  }
  return std::nullopt;
}

template <std::size_t N>
std::string text_of(std::uint64_t n, const std::array<unit, N>& units) {
  if (n == 0) return "0";
  for (const auto& [name, factor] : units) {
    const auto whole = static_cast<std::uint64_t>(factor);
    if (n % whole == 0) return std::to_string(n / whole) + std::string(name);
  }
  return std::to_string(n);
}

}  // namespace

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const auto n = parse(text, durations, false);
  if (!n) return std::nullopt;
  return std::chrono::nanoseconds(std::llround(*n));
}

std::string duration_text(std::chrono::nanoseconds d) {
  return text_of(static_cast<std::uint64_t>(d.count() < 0 ? 0 : d.count()), durations);
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  const auto n = parse(text, sizes, true);
  if (!n) return std::nullopt;
  return static_cast<std::uint64_t>(std::llround(*n));
}

std::string bytes_text(std::uint64_t bytes) { return text_of(bytes, sizes); }

}  // namespace fermata::mirror
