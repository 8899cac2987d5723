// SPDX-License-Identifier: MIT
// The parts of the status page that show archives.
#pragma once

#include <fermata/mirror/archive_service.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace fermata::mirror {

/// Where a POST tries failed downloads again: all, or those of its field `reason`.
inline constexpr std::string_view retry_path = "/archives/retry";

/// Where a GET leads to the archive with the checksum that its field `checksum` names.
inline constexpr std::string_view find_path = "/archives/find";

[[nodiscard]] std::string archives_card(const archive_status& a);
/// Hidden where nothing is being fetched, or nothing has failed.
[[nodiscard]] std::string downloads_card(const archive_status& a);
[[nodiscard]] std::string failures_card(const archive_status& a,
                                        std::chrono::sys_seconds now,
                                        bool needs_secret);

}  // namespace fermata::mirror
