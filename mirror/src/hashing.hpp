// SPDX-License-Identifier: MIT
// What all users of libcrypto's hashes share.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace fermata::mirror {

/// Two lower-case digits a byte.
[[nodiscard]] std::string hex_of(std::span<const std::uint8_t> bytes);

/// libcrypto sets itself up at its first hash, for 6 to 18 ms: not within a step of a service.
/// Thread: any. The second call does nothing.
void start_hashing();

}  // namespace fermata::mirror
