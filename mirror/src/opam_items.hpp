// SPDX-License-Identifier: MIT
// The fields and sections of an opam file, one after another, with the place of each.
#pragma once

#include "opam_lexer.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::mirror {

/// One step through a file.
struct opam_part {
  enum class kind : std::uint8_t { field, section, section_end, end };
  kind what = kind::end;
  opam_lexeme name;       // of a field or a section
  opam_lexeme label;      // a section's string; of kind `end` where it has none
  std::size_t end = 0;    // offset behind what was read
  std::size_t depth = 0;  // sections around it
};

/// Reads a file part by part, also one with bad lines.
///
/// Shape:    `next` until it gives `end`; where it throws, `recover` and go on.
/// Throws:   `opam_syntax_error`.
/// Cost:     linear, 2 to 3 ns a byte; nesting has no limit, the stack is on the heap.
/// Lifetime: the text outlives the reader and the parts.
class opam_reader {
public:
  explicit opam_reader(std::string_view text) : text_(text), lexer_(text) {}

  opam_part next();
  /// The tokens of the field that `next` gave last, without its name and colon.
  [[nodiscard]] const std::vector<opam_lexeme>& value() const noexcept { return value_; }
  /// Goes on at the first line, below the one on which the bad item begins, that looks like the
  /// start of an item or the end of a section.
  void recover();
  /// The error of a place, for who finds a value wrong.
  [[noreturn]] void fail(const opam_lexeme& at, std::string_view why) const {
    lexer_.fail(at.begin, why);
  }

private:
  void advance();
  void throw_bad() const;
  [[noreturn]] void fail(std::string_view why) const { fail(token_, why); }
  opam_part read_item();
  void read_value();
  void close();

  std::string_view text_;
  opam_lexer lexer_;
  opam_lexeme token_;
  bool has_token_ = false;
  std::optional<opam_syntax_error> bad_;  // in place of the token
  std::size_t previous_end_ = 0;
  std::size_t item_begin_ = 0;
  std::size_t depth_ = 0;
  std::vector<opam_lexeme> value_;
  std::string brackets_;
};

struct opam_item {
  std::string name;
  std::size_t begin = 0;  // offset of the name
  std::size_t end = 0;    // offset behind the value
  bool is_section = false;
  std::vector<std::string> strings;  // of a field: its strings, but not those in conditions
};

/// The strings of a value, but not those in conditions.
[[nodiscard]] std::vector<std::string> opam_strings(const std::vector<opam_lexeme>& value);

/// The items at the top of a file.
/// Throws: `opam_syntax_error` at the first fault.
[[nodiscard]] std::vector<opam_item> opam_items(std::string_view text);

}  // namespace fermata::mirror
