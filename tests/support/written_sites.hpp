// SPDX-License-Identifier: MIT
// Lines of the project's sources that a run came by, function by function: a test lists how many
// there are, so that one that is deleted fails it.
#pragma once

#include "support/places.hpp"

#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fermata::test {

/// "walk_had" of what the compiler calls a coroutine's function.
inline std::string short_name(std::string_view function) {
  function = function.substr(0, function.find('('));
  return std::string(function.substr(function.rfind(':') + 1));
}

class written_sites {
public:
  /// A line is meant that has one of these in it; an await may pause, too, but that is not of the
  /// source's own making.
  explicit written_sites(std::vector<std::string> marks) : marks_(std::move(marks)) {}

  /// Line numbers of those, from 1. `file` is a path below the project's folder.
  [[nodiscard]] std::set<unsigned> written_in(const std::string& file) const {
    std::ifstream in(source_dir() + "/" + file);
    std::set<unsigned> lines;
    std::string line;
    for (unsigned n = 1; std::getline(in, line); ++n) {
      for (const std::string& mark : marks_) {
        if (line.find(mark) != std::string::npos) lines.insert(n);
      }
    }
    return lines;
  }
  /// A run came by; what is not meant is passed over. `function` may be empty.
  void note(const std::string& file, const std::string& function, unsigned line) {
    const auto [known, is_new] = written_.try_emplace(file);
    if (is_new) known->second = written_in(file);
    if (!known->second.contains(line)) return;
    lines_[name_of(file) + (function.empty() ? "" : " " + function)].insert(line);
  }
  /// One line a function: how many of it were reached.
  [[nodiscard]] std::string text() const {
    std::string out;
    for (const auto& [name, lines] : lines_)
      out += name + " " + std::to_string(lines.size()) + "\n";
    return out;
  }
  [[nodiscard]] std::size_t reached_in(const std::string& file) const {
    std::size_t n = 0;
    for (const auto& [where, lines] : lines_) {
      if (where.starts_with(name_of(file) + " ")) n += lines.size();
    }
    return n;
  }

private:
  static std::string name_of(const std::string& file) { return file.substr(file.rfind('/') + 1); }

  std::vector<std::string> marks_;
  std::map<std::string, std::set<unsigned>> lines_;    // by "file function"
  std::map<std::string, std::set<unsigned>> written_;  // by file
};

}  // namespace fermata::test
