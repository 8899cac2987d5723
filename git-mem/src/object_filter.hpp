// SPDX-License-Identifier: MIT
// What client and server have in common of the words for filters.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fermata::git_mem::detail {

// The parts of "combine:<parts>": "+" stands between them, and their own signs are percent-encoded.
[[nodiscard]] std::vector<std::string> split_filters(std::string_view parts);

}  // namespace fermata::git_mem::detail
