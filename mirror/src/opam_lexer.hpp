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
                           std::string(why)),
        line_(line) {}
  [[nodiscard]] std::size_t line() const noexcept { return line_; }

private:
  std::size_t line_;
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
  std::string_view text;  // as written

  [[nodiscard]] std::size_t end() const noexcept { return begin + text.size(); }
  [[nodiscard]] bool is(opam_token k, char c) const noexcept {
    return kind == k && text.size() == 1 && text.front() == c;
  }
};

/// Shape:    `next` until it gives `end`.
/// Pauses:   never.
/// Throws:   `opam_syntax_error`; `restart` makes the lexer usable again.
/// Cost:     1 to 2 ns a byte; no memory.
/// Lifetime: the text outlives the lexer and the lexemes.
class opam_lexer {
public:
  explicit opam_lexer(std::string_view text) : text_(text) {}
  [[nodiscard]] opam_lexeme next();
  /// Goes on from an offset, outside of strings and comments.
  void restart(std::size_t offset) noexcept { at_ = offset; }
  /// Throws the error of a place. Cost: linear in the text before it.
  [[noreturn]] void fail(std::size_t offset, std::string_view why) const;

private:
  void skip_blanks();
  void skip_block_comment();
  [[nodiscard]] std::size_t string_end(std::size_t quotes) const;
  [[nodiscard]] std::size_t escape_length(std::size_t at) const;
  [[nodiscard]] std::size_t identifier_length() const;
  [[nodiscard]] std::size_t integer_length() const;
  void read_word(opam_lexeme& token) const;
  void read_symbol(opam_lexeme& token) const;
  [[nodiscard]] bool at(std::string_view expected) const {
    return text_.substr(at_).starts_with(expected);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// What a string token stands for: without quotes, escapes resolved.
[[nodiscard]] std::string opam_string(const opam_lexeme& string);

/// `text` as an opam string with its quotes.
[[nodiscard]] std::string opam_quoted(std::string_view text);

}  // namespace fermata::mirror
