// SPDX-License-Identifier: MIT
/// The pages for people: `/status` and `/`.
///
/// Shape:  one HTML file each, without scripts and without anything from elsewhere; every value is
///         escaped. `host` is what the client asked for (its Host header); where that is not a
///         plain host and port, `fallback_host` stands in the commands to copy.
/// Pauses: never; a page takes about 50 us.
/// Thread: any.
#pragma once

#include <fermata/mirror/service_status.hpp>

#include <string>
#include <string_view>

namespace fermata::mirror {

[[nodiscard]] std::string status_page(const service_status& status,
                                      std::string_view host,
                                      std::string_view fallback_host);

[[nodiscard]] std::string home_page(const service_status& status,
                                    std::string_view host,
                                    std::string_view fallback_host);

/// Whether `host` is a name or address with an optional port, safe to paste into a shell.
[[nodiscard]] bool is_plain_host(std::string_view host);

}  // namespace fermata::mirror
