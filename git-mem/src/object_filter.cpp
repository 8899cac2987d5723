// SPDX-License-Identifier: MIT
// Filters of partial clones in git's words. Combined ones leave out what any of them does.

#include "object_filter.hpp"

#include <fermata/git_mem/reachability.hpp>

#include <algorithm>
#include <charconv>

namespace fermata::git_mem {

namespace {

constexpr int most_nested = 8;  // of "combine:" in "combine:", each of which is decoded

std::optional<std::string_view> value_of(std::string_view text, std::string_view key) {
  if (!text.starts_with(key)) return std::nullopt;
  return text.substr(key.size());
}

// "4096", "4k", "1M"
std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t n = 0;
  const char* const end = text.data() + text.size();
  const auto [after, wrong] = std::from_chars(text.data(), end, n);
  if (wrong != std::errc()) return std::nullopt;
  if (after == end) return n;
  const std::size_t unit = std::string_view("kKmMgG").find(*after);
  if (after + 1 != end || unit == std::string_view::npos || n >> 34 != 0) return std::nullopt;
  return n << 10 * (unit / 2 + 1);
}

bool lower(std::uint64_t& bound, std::optional<std::uint64_t> to) {
  if (!to) return false;
  bound = std::min(bound, *to);
  return true;
}

bool keep_only(object_filter& f, std::string_view type) {
  if (type != "commit" && type != "tree" && type != "blob" && type != "tag") return false;
  f.commits = f.commits && type == "commit";
  f.trees = f.trees && type == "tree";
  f.blobs = f.blobs && type == "blob";
  return true;
}

// Adds a filter to `f`; false where it is none.
bool narrow(object_filter& f, std::string_view text, int nested) {
  if (text == "blob:none") return lower(f.blob_bytes, 0);
  if (const auto limit = value_of(text, "blob:limit=")) {
    return lower(f.blob_bytes, parse_number(*limit));
  }
  if (const auto depth = value_of(text, "tree:")) return lower(f.tree_depth, parse_number(*depth));
  if (const auto type = value_of(text, "object:type=")) return keep_only(f, *type);
  const std::optional<std::string_view> parts = value_of(text, "combine:");
  if (!parts || nested == most_nested) return false;
  const std::vector<std::string> all = detail::split_filters(*parts);
  return std::all_of(all.begin(), all.end(),
                     [&](const std::string& one) { return narrow(f, one, nested + 1); });
}

}  // namespace

std::vector<std::string> detail::split_filters(std::string_view parts) {
  std::vector<std::string> all(1);
  while (!parts.empty()) {
    std::uint8_t code = 0;
    std::size_t used = 1;
    if (parts.starts_with('%') && parts.size() >= 3) {
      const char* const end = parts.data() + 3;
      if (std::from_chars(parts.data() + 1, end, code, 16).ptr == end) used = 3;
    }
    if (used == 1 && parts.front() == '+') {
      all.emplace_back();
    } else {
      all.back() += used == 1 ? parts.front() : static_cast<char>(code);
    }
    parts.remove_prefix(used);
  }
  return all;
}

std::optional<object_filter> object_filter::parse(std::string_view text) {
  object_filter f;
  if (!narrow(f, text, 0)) return std::nullopt;
  return f;
}

}  // namespace fermata::git_mem
