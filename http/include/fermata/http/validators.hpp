// SPDX-License-Identifier: MIT
/// Conditional requests and ranges: RFC 9110, sections 13 and 14.
///
/// Pauses: never.
/// Thread: any.
#pragma once

#include <fermata/http/byte_range.hpp>
#include <fermata/http/request.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fermata::http {

/// `"opaque"`, a strong entity tag.
/// Throws: `contract_error` for a quote, a space or a control character in `opaque`.
[[nodiscard]] std::string quoted_etag(std::string_view opaque);

/// What there is to serve at a path.
struct representation {
  std::string etag;  ///< quoted, as `quoted_etag` makes it; empty where there is none
  std::optional<std::chrono::sys_seconds> last_modified;
  std::uint64_t size = 0;
  std::string type;  ///< the Content-Type
};

/// What a request gets: 200, 206, 304, 412 or 416; `range` where it is 206.
struct decision {
  int status = 200;
  byte_range range;
};

/// Judges `r` against what there is, in the order of RFC 9110: If-Match or If-Unmodified-Since,
/// If-None-Match or If-Modified-Since, then Range with If-Range.
///
/// Shape: entity tags compare weakly in If-None-Match, else strongly; fields that are malformed or
///        doubled where one is allowed count as absent, but a malformed If-Match matches nothing.
///        Range counts for GET alone. `now` places two-digit years.
[[nodiscard]] decision evaluate(const request& r,
                                const representation& what,
                                std::chrono::sys_seconds now);

}  // namespace fermata::http
