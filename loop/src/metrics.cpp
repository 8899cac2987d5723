// SPDX-License-Identifier: MIT
// Sites and log levels as text.

#include <fermata/loop/log.hpp>
#include <fermata/loop/metrics.hpp>

#include <fmt/format.h>

#include <string_view>

namespace fermata {

std::string to_string(const std::source_location& site) {
  std::string_view file = site.file_name();
  if (file.empty()) return "unknown";
  std::size_t cut = file.rfind('/');
  if (cut != std::string_view::npos && cut > 0) cut = file.rfind('/', cut - 1);
  if (cut != std::string_view::npos) file.remove_prefix(cut + 1);
  return fmt::format("{}:{}", file, site.line());
}

std::string_view to_string(log_level level) noexcept {
  switch (level) {
    case log_level::error:
      return "error";
    case log_level::warn:
      return "warn";
    case log_level::info:
      return "info";
    case log_level::debug:
      return "debug";
  }
  return "unknown";
}

}  // namespace fermata
