// SPDX-License-Identifier: MIT
/// How many files the program may have open, and what that leaves for connections.
#pragma once

#include <cstdint>

namespace fermata::mirror {

/// Raises the limit of this process as far as it may. Gives it; 0: it is not known.
std::uint64_t raise_file_limit() noexcept;

/// How many of the `wanted` connections a limit leaves room for, beside files and downloads: so
/// that one more is answered with 503, and not left waiting.
[[nodiscard]] std::uint32_t connections_within(std::uint64_t limit, std::uint32_t wanted) noexcept;

}  // namespace fermata::mirror
