// SPDX-License-Identifier: MIT
// What the pages are put together from.
#pragma once

#include <fermata/mirror/service_status.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fermata::mirror {

/// From the doctype to the opened <main>. `refresh_s` 0: the page does not reload itself; else it
/// does where there are no scripts.
[[nodiscard]] std::string page_head(std::string_view title, int refresh_s);
/// The sign, the name and the state.
[[nodiscard]] std::string page_banner(const service_status& status);
/// Links, version and uptime, to the closed <main>.
[[nodiscard]] std::string page_foot(const service_status& status);

/// The script that keeps the status page live, to the end of the file.
[[nodiscard]] std::string page_script();

/// The commands for `url`, which is safe to paste.
[[nodiscard]] std::string opam_commands(std::string_view url);

/// The longest gap on an arc from 10 us to 1 s, with marks for the slice and for the bound.
[[nodiscard]] std::string gap_gauge(std::uint64_t gap_us, std::optional<std::uint64_t> slice_us);

}  // namespace fermata::mirror
