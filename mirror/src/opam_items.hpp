// SPDX-License-Identifier: MIT
// The fields and sections at the top of an opam file, with the place of each.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::mirror {

struct opam_item {
  std::string name;
  std::size_t begin = 0;  // offset of the name
  std::size_t end = 0;    // offset behind the value
  bool is_section = false;
  std::vector<std::string> strings;  // of a field: its strings, but not those in conditions
};

/// Shape:  nesting has no limit, the stack is on the heap.
/// Throws: `opam_syntax_error`.
/// Cost:   linear; about 10 ns a byte.
[[nodiscard]] std::vector<opam_item> opam_items(std::string_view text);

}  // namespace fermata::mirror
