// SPDX-License-Identifier: MIT
/// Makes the file `repo` that the mirror serves out of the one that upstream has.
///
/// Shape:   upstream's text stays as it is, comments and announces too, but for these fields:
///          `upstream` and `stamp` are ours, `redirect` goes (it would send our clients away), and
///          of `archive-mirrors` only absolute addresses stay (others are relative to upstream).
/// Units:   bytes.
/// Pauses:  never; detach it for texts over 16 KiB (10 ns a byte).
/// Thread:  any.
/// Rejects: nothing: a text that is no opam file is replaced by a minimal one, and `fault` says
/// why.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::mirror {

struct repo_settings {
  std::string upstream;  ///< where the mirror takes the repository from, without passwords
  std::string stamp;     ///< the commit
  /// Where else archives are, before upstream's own: URLs, or paths below the mirror's address.
  std::vector<std::string> archive_mirrors = {};
};

struct repo_file {
  std::string text;
  std::optional<std::string> fault;  ///< `repo:3:7: string without an end`
};

/// A longer one is not read but replaced.
inline constexpr std::size_t longest_repo_file_bytes = 1024 * 1024;

/// `upstream_text` is nothing where the repository has no such file.
[[nodiscard]] repo_file make_repo_file(std::optional<std::string_view> upstream_text,
                                       const repo_settings& settings);

}  // namespace fermata::mirror
