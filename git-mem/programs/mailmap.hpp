// SPDX-License-Identifier: MIT
// Whose name stands for whom, as .mailmap has it: `git log` shows authors so.
//
// libgit2's parser was tried: it tells names of different case apart, keeps the last of two lines
// about one address where git merges them, and gives up at a line that git passes over.
#pragma once

#include <fermata/git_mem/commit.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace fermata_git {

class mailmap {
public:
  mailmap() = default;
  explicit mailmap(std::string_view text);

  // Puts what is right for the name and the address that a commit has.
  void apply(fermata::git_mem::signature& to) const;

private:
  struct less_in_any_case {
    bool operator()(const std::string& a, const std::string& b) const noexcept;
  };
  struct person {
    std::optional<std::string> name;
    std::optional<std::string> email;
  };
  struct address {
    person anybody;
    std::map<std::string, person, less_in_any_case> by_name;
  };

  void read_line(std::string_view line);

  std::map<std::string, address, less_in_any_case> addresses_;
};

}  // namespace fermata_git
