// SPDX-License-Identifier: MIT
/// Dates as HTTP writes them.
///
/// Units:  whole seconds, UTC.
/// Pauses: never.
/// Thread: any.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace fermata::http {

/// Appends `Sun, 06 Nov 1994 08:49:37 GMT`.
/// Shape: years before 0 and after 9999 are written as those.
void append_http_date(std::string& out, std::chrono::sys_seconds when);
[[nodiscard]] std::string to_http_date(std::chrono::sys_seconds when);

/// Reads the three forms that RFC 9110 knows: IMF-fixdate, RFC 850 and asctime.
///
/// Shape: `now` places the two digits of an RFC 850 year: at most 50 years ahead of it. The name of
///        the weekday must be one, but need not fit the date.
[[nodiscard]] std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text,
                                                                      std::chrono::sys_seconds now);

}  // namespace fermata::http
