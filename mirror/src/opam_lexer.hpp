// SPDX-License-Identifier: MIT
// The tokens of opam's file syntax (opam-file-format 2.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fermata::mirror {

/// Where and why a text is not opam syntax; `what()` reads `line:column: why`.
class opam_syntax_error : public std::runtime_error {
public:
  opam_syntax_error(std::size_t line, std::size_t column, std::string_view why)
      : std::runtime_error(std::to_string(line) + ":" + std::to_string(column) + ": " +
                           std::string(why)) {}
};

enum class opam_token : std::uint8_t {
  end,
  identifier,  // true and false too
  string,
  integer,
  colon,
  open,             // ( [ {
  close,            // ) ] }
  prefix_operator,  // ! ?
  relation,         // = != < <= > >= ~ : between two values, or before one
  infix_operator,   // & | += =+ := =: =+=
};

struct opam_lexeme {
  opam_token kind = opam_token::end;
  std::size_t begin = 0;  // offset of its first byte
  std::size_t end = 0;    // offset behind its last byte
  std::size_t line = 1;
  std::size_t column = 1;  // in bytes, from 1
  std::string_view text;   // as written
  std::string value;       // of a string: without quotes, escapes resolved
};

/// Shape:    `next` until it gives `end`.
/// Pauses:   never.
/// Throws:   `opam_syntax_error`; the lexer is of no use afterwards.
/// Cost:     about 5 ns a byte.
/// Lifetime: the text outlives the lexer and the lexemes.
class opam_lexer {
public:
  explicit opam_lexer(std::string_view text) : text_(text) {}
  [[nodiscard]] opam_lexeme next();

private:
  void skip_blanks();
  void skip_line_comment();
  void skip_block_comment();
  void read_string(opam_lexeme& token);
  void read_triple_string(opam_lexeme& token);
  void read_escape(std::string& value);
  void read_word(opam_lexeme& token);
  void read_symbol(opam_lexeme& token);
  [[nodiscard]] std::size_t identifier_length() const;
  [[nodiscard]] std::size_t integer_length() const;
  [[nodiscard]] bool at(std::string_view expected) const {
    return text_.substr(at_).starts_with(expected);
  }
  [[nodiscard]] bool over() const noexcept { return at_ >= text_.size(); }
  void advance() noexcept;
  void advance(std::size_t bytes) noexcept {
    while (bytes-- != 0) advance();
  }
  [[noreturn]] void fail(std::string_view why) const;
  [[noreturn]] void fail(const opam_lexeme& at, std::string_view why) const;

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t line_begin_ = 0;
};

/// `text` as an opam string with its quotes.
[[nodiscard]] std::string opam_quoted(std::string_view text);

}  // namespace fermata::mirror
