// SPDX-License-Identifier: MIT
// Moments of time as the command line has them.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace fermata_git {

// "2025-06-01", "2025-06-01T12:00:00" (UTC), or seconds since 1970; nothing for all else.
[[nodiscard]] std::optional<std::chrono::sys_seconds> parse_moment(const std::string& text);

}  // namespace fermata_git
