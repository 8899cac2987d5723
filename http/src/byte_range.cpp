// SPDX-License-Identifier: MIT
// Range: first-last, first-, -suffix, and lists of these.

#include "text.hpp"

#include <fermata/http/byte_range.hpp>

#include <algorithm>
#include <array>
#include <limits>

namespace fermata::http {
namespace {

constexpr std::size_t most_ranges = 32;
constexpr std::string_view unit = "bytes=";

// A number that is too large for us is larger than any representation.
std::optional<std::uint64_t> read_position(std::string_view s) {
  if (s.empty() || !std::all_of(s.begin(), s.end(), detail::is_digit)) return std::nullopt;
  return detail::parse_decimal(s).value_or(std::numeric_limits<std::uint64_t>::max());
}

struct one_range {
  bool valid = false;
  std::optional<byte_range> range;  // none: valid, and outside of the representation
};

one_range read_one(std::string_view item, std::uint64_t size) {
  const std::size_t dash = item.find('-');
  if (dash == std::string_view::npos) return {};
  const auto first = read_position(item.substr(0, dash));
  const auto last = read_position(item.substr(dash + 1));
  if (dash == 0) {
    if (!last) return {};
    if (*last == 0 || size == 0) return {true, std::nullopt};
    return {true, byte_range{size - std::min(*last, size), size - 1}};
  }
  const bool open = dash + 1 == item.size();
  if (!first || (!open && (!last || *last < *first))) return {};
  if (*first >= size) return {true, std::nullopt};
  return {true, byte_range{*first, open ? size - 1 : std::min(*last, size - 1)}};
}

}  // namespace

range_answer read_range(std::string_view field, std::uint64_t size) {
  if (field.size() < unit.size() ||
      !detail::equal_ignoring_case(field.substr(0, unit.size()), unit))
    return {};
  std::array<byte_range, most_ranges> found;
  std::size_t count = 0;
  std::size_t named = 0;
  for (std::string_view rest = field.substr(unit.size()); !rest.empty();) {
    const std::string_view item = detail::next_item(rest);
    if (item.empty()) continue;  // lists may have empty members
    const one_range one = read_one(item, size);
    if (!one.valid || ++named > most_ranges) return {};
    if (one.range) found[count++] = *one.range;
  }
  if (named == 0) return {};
  if (count == 0) return {range_result::unsatisfiable, {}};
  std::sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count),
            [](const byte_range& a, const byte_range& b) { return a.first < b.first; });
  byte_range merged = found[0];
  for (std::size_t i = 1; i < count; ++i) {
    if (found[i].first > merged.last + 1) return {};
    merged.last = std::max(merged.last, found[i].last);
  }
  return {range_result::part, merged};
}

std::string content_range(std::optional<byte_range> range, std::uint64_t size) {
  std::string out = "bytes ";
  out += range ? std::to_string(range->first) + "-" + std::to_string(range->last) : "*";
  return out + "/" + std::to_string(size);
}

}  // namespace fermata::http
