// SPDX-License-Identifier: MIT
// What the program prints: gathered, and written in pieces.
#pragma once

#include <fermata/git_mem/tree.hpp>

#include <string>
#include <string_view>

namespace fermata_git {

class output {
public:
  output() = default;
  output(const output&) = delete;
  output& operator=(const output&) = delete;

  void write(std::string_view text) {
    if (kept_.size() + text.size() > piece_bytes) flush();
    if (text.size() > piece_bytes) {
      put(text);
    } else {
      kept_ += text;
    }
  }
  // Throws: `error` where standard output takes no more.
  void flush();

private:
  static constexpr std::size_t piece_bytes = 64 * 1024;
  static void put(std::string_view text);

  std::string kept_;
};

// As git writes a path that has odd bytes: in double quotes, with backslashes and octal numbers.
[[nodiscard]] std::string quoted_path(std::string_view path);

// A line of `git ls-tree`.
[[nodiscard]] std::string tree_line(fermata::git_mem::file_mode mode,
                                    const fermata::git_mem::object_id& id,
                                    std::string_view path);

}  // namespace fermata_git
