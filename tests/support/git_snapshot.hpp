// SPDX-License-Identifier: MIT
/// A repository of git as a snapshot, without a clone.
#pragma once

#include "support/pack_builder.hpp"
#include "support/temp_repository.hpp"

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

namespace fermata::test {

inline std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// All that git has, with its refs.
inline git_mem::snapshot_ptr all_of(const temp_folder& repo) {
  auto s = std::make_shared<git_mem::snapshot>();
  s->packs.push_back(analyse(repo.output("git pack-objects --all --stdout -q </dev/null")).pack);
  for (const std::string& line :
       lines_of(repo.output("git for-each-ref --format='%(objectname) %(refname)'"))) {
    s->refs.push_back({line.substr(41), *git_mem::object_id::from_hex(line.substr(0, 40)), {}});
  }
  const std::string head = repo.output("git rev-parse HEAD").substr(0, 40);
  s->refs.push_back({"HEAD", *git_mem::object_id::from_hex(head), "refs/heads/main"});
  std::sort(
      s->refs.begin(), s->refs.end(),
      [](const git_mem::reference& a, const git_mem::reference& b) { return a.name < b.name; });
  return s;
}

}  // namespace fermata::test
