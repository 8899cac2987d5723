// SPDX-License-Identifier: MIT
// Numbers, times and texts as people read them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace fermata::mirror {

/// `text` with the five characters that mean something in HTML replaced.
[[nodiscard]] std::string html_escaped(std::string_view text);

/// `42,156`.
[[nodiscard]] std::string with_commas(std::uint64_t n);

/// `812 B`, `3.7 MB`: powers of 1000, three digits at most.
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);

/// `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `3 days`.
[[nodiscard]] std::string human_duration(std::chrono::milliseconds duration);

/// `870 us`, `1.8 ms`, `0.5 s`; `micro` stands before the s of microseconds.
[[nodiscard]] std::string human_microseconds(std::uint64_t us, std::string_view micro = "u");

/// `2026-08-22T14:40:30Z`.
[[nodiscard]] std::string iso_time(std::chrono::sys_seconds when);

}  // namespace fermata::mirror
