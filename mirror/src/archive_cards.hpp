// SPDX-License-Identifier: MIT
// The parts of the status page that show archives.
#pragma once

#include <fermata/mirror/archive_service.hpp>

#include <string>
#include <string_view>

namespace fermata::mirror {

/// Where a POST tries failed downloads again: all, or those of its field `reason`.
inline constexpr std::string_view retry_path = "/archives/retry";

[[nodiscard]] std::string archives_card(const archive_status& a);
/// Hidden where nothing is being fetched, or nothing has failed.
[[nodiscard]] std::string downloads_card(const archive_status& a);
[[nodiscard]] std::string failures_card(const archive_status& a, bool needs_secret);

}  // namespace fermata::mirror
