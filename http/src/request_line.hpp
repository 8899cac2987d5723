// SPDX-License-Identifier: MIT
// The request line and its target, judged before the grammar sees the head.
#pragma once

#include <fermata/http/request.hpp>
#include <fermata/http/request_parser.hpp>

#include <string_view>

namespace fermata::http::detail {

/// Whether `line`, without its CRLF, is `token SP target SP HTTP/1.[01]`: 400, 501 or 505 if not.
[[nodiscard]] parse_failure judge_request_line(std::string_view line) noexcept;

/// Whether what there is of an unfinished request line can still become one.
[[nodiscard]] parse_failure judge_line_start(std::string_view line) noexcept;

/// Fills path, query and the authority of an absolute target from the method and the target that
/// `r` already has.
[[nodiscard]] parse_failure read_target(request& r);

/// Whether `value` is `host[:port]`, or empty.
[[nodiscard]] bool is_authority(std::string_view value) noexcept;

}  // namespace fermata::http::detail
