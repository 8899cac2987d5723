// SPDX-License-Identifier: MIT
/// One state of the repository as it is served: all of it belongs to one commit.
///
/// Shape:  immutable once it is served; readers share it by `std::shared_ptr<const generation>`.
/// Thread: any.
#pragma once

#include <fermata/git_mem/memory.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fermata::mirror {

struct generation {
  std::string remote;  ///< without passwords
  std::string branch;  ///< empty: what the remote's HEAD named
  std::string commit;
  std::chrono::sys_seconds commit_time{};
  /// What clients are told: of the commit or of when it was served first, and later than that of
  /// the one before. None until it is served.
  std::optional<std::chrono::sys_seconds> last_modified;
  std::uint64_t files = 0;
  std::string etag;                    ///< of the index, with its quotes
  std::string repo;                    ///< the file `repo` as it stands in the index
  std::optional<std::string> version;  ///< the file `version`, where upstream has one
  std::vector<std::string> notes;      ///< remarks on files
  git_mem::growing_range index;
};

}  // namespace fermata::mirror
