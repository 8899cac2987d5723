// SPDX-License-Identifier: MIT
/// Status codes and their reason phrases.
///
/// Pauses: never.
/// Thread: any.
#pragma once

#include <string_view>

namespace fermata::http {

/// The phrase of RFC 9110 for `status`; an empty one for a code that has none.
[[nodiscard]] std::string_view reason_phrase(int status) noexcept;

/// Whether a response with this status never has a body: 1xx, 204 and 304.
[[nodiscard]] constexpr bool is_bodiless(int status) noexcept {
  return status < 200 || status == 204 || status == 304;
}

}  // namespace fermata::http
