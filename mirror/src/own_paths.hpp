// SPDX-License-Identifier: MIT
/// The paths that the mirror itself answers, of which the update's must be none.
///
/// Pauses: never.
/// Thread: any.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace fermata::mirror {

inline constexpr std::array<std::string_view, 10> own_paths{
    "/",     "/status", "/status.json",  "/metrics",       "/healthz",
    "/repo", "/readyz", "/index.tar.gz", "/archives.json", "/version"};
/// With all that is below them.
inline constexpr std::array<std::string_view, 4> own_folders{"/archives", "/cache",
                                                             "/repository.git", "/status"};

[[nodiscard]] constexpr bool is_own_path(std::string_view path) {
  const auto is_below = [path](std::string_view folder) {
    return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
  };
  return std::find(own_paths.begin(), own_paths.end(), path) != own_paths.end() ||
         std::any_of(own_folders.begin(), own_folders.end(), is_below);
}

}  // namespace fermata::mirror
