// SPDX-License-Identifier: MIT
// Sites as text, and which of them hold the thread most.

#include <fermata/loop/metrics.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace fermata {
namespace {

// A header's site has one name pointer in each translation unit.
bool same_site(const std::source_location& a, const std::source_location& b) noexcept {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

}  // namespace

std::string to_string(const std::source_location& site) {
  std::string_view file = site.file_name();
  if (file.empty()) return "unknown";
  std::size_t cut = file.rfind('/');
  if (cut != std::string_view::npos && cut > 0) cut = file.rfind('/', cut - 1);
  if (cut != std::string_view::npos) file.remove_prefix(cut + 1);
  return fmt::format("{}:{}", file, site.line());
}

void top_sites::add(std::source_location site, std::chrono::nanoseconds held) noexcept {
  const auto begin = sites_.begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(count_);
  auto at = begin + static_cast<std::ptrdiff_t>(last_);
  if (count_ == 0 || !same_site(at->site, site)) {
    at = std::find_if(begin, end, [&](const site_time& s) { return same_site(s.site, site); });
  }
  if (at == end && count_ < most) {
    ++count_;
    *at = site_time{site};
  } else if (at == end) {
    at = std::min_element(begin, end,
                          [](const site_time& a, const site_time& b) { return a.held < b.held; });
    at->site = site;
    at->over = at->held;
    at->steps = 0;
  }
  at->held += held;
  ++at->steps;
  last_ = static_cast<std::size_t>(at - begin);
}

std::vector<site_time> top_sites::sorted() const {
  std::vector<site_time> all(sites_.begin(), sites_.begin() + static_cast<std::ptrdiff_t>(count_));
  std::sort(all.begin(), all.end(),
            [](const site_time& a, const site_time& b) { return a.held > b.held; });
  return all;
}

}  // namespace fermata
