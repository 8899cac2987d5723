// SPDX-License-Identifier: MIT
// Durations and sizes as people write them in options: read, and written so that they read back.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fermata::mirror {

/// `500ms`, `10s`, `1.5h`, `0`; units us, ms, s, min, h, d. Nothing for anything else, and for more
/// than 100 years.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);
/// In the largest unit that needs no fraction.
[[nodiscard]] std::string duration_text(std::chrono::nanoseconds d);

/// `512`, `64KiB`, `10MB`; units B, kB, MB, GB, TB, KiB, MiB, GiB, TiB, in any case.
[[nodiscard]] std::optional<std::uint64_t> parse_bytes(std::string_view text);
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);

}  // namespace fermata::mirror
