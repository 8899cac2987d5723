// SPDX-License-Identifier: MIT
/// The Range field.
///
/// Units:  bytes; `last` is included.
/// Pauses: never.
/// Thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fermata::http {

struct byte_range {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  [[nodiscard]] std::uint64_t size() const noexcept { return last - first + 1; }
  bool operator==(const byte_range&) const = default;
};

/// What a Range field asks of a representation.
///
/// Shape: several ranges that overlap or touch are one; several that do not are answered with the
///        whole (no multipart: clients of a mirror resume, they do not pick). So is a field that is
///        malformed, not in bytes, or names over 32 ranges.
enum class range_result : std::uint8_t { whole, part, unsatisfiable };

struct range_answer {
  range_result result = range_result::whole;
  byte_range range;  ///< where `result` is `part`
};

[[nodiscard]] range_answer read_range(std::string_view field, std::uint64_t size);

/// `bytes 0-9/100`, and `bytes */100` where there is no range.
[[nodiscard]] std::string content_range(std::optional<byte_range> range, std::uint64_t size);

}  // namespace fermata::http
