// SPDX-License-Identifier: MIT
/// A repository of git as a snapshot, without a clone.
#pragma once

#include "support/pack_builder.hpp"
#include "support/temp_repository.hpp"

#include <algorithm>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace fermata::test {

inline std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// All that the repository `name` in `at` has (also what only its reflogs and index reach), its
/// refs, and where it is cut off.
inline git_mem::snapshot read_repository(const temp_folder& at, const std::string& name = ".") {
  const std::string in = "cd '" + name + "' && ";
  const auto id_of = [](const std::string& hex) {
    return git_mem::object_id::from_hex(hex.substr(0, 40)).value();
  };
  git_mem::snapshot s;
  for (const std::string& line :
       lines_of(at.output(in + "git for-each-ref --format='%(objectname) %(refname)'"))) {
    s.refs.push_back({line.substr(41), id_of(line), {}});
  }
  const std::string head = at.output(in + "git rev-parse -q --verify HEAD || true");
  std::string target = at.output(in + "git symbolic-ref -q HEAD || true");
  if (target.ends_with('\n')) target.pop_back();
  s.refs.push_back({"HEAD", head.empty() ? git_mem::object_id() : id_of(head), target});
  std::sort(
      s.refs.begin(), s.refs.end(),
      [](const git_mem::reference& a, const git_mem::reference& b) { return a.name < b.name; });
  for (const std::string& line :
       lines_of(at.output(in + "cat \"$(git rev-parse --git-dir)/shallow\" 2>/dev/null || true"))) {
    s.shallow.push_back(id_of(line));
  }
  std::sort(s.shallow.begin(), s.shallow.end());
  analysed a = analyse(
      at.output(in + "git rev-list --objects --all --reflog --indexed-objects | cut -c1-40 | " +
                "git pack-objects -q --stdout --delta-base-offset"));
  if (!a.pack) throw std::runtime_error(a.error);
  s.packs.push_back(std::move(a.pack));
  return s;
}

inline git_mem::snapshot_ptr all_of(const temp_folder& repo) {
  return std::make_shared<git_mem::snapshot>(read_repository(repo));
}

}  // namespace fermata::test
