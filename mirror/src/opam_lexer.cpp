// SPDX-License-Identifier: MIT
// A lexer by hand: each token begins with a byte that tells its kind, but for words, where the
// longest of identifier and integer wins.

#include "opam_lexer.hpp"

#include <algorithm>
#include <array>

namespace fermata::mirror {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_word(char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-'; }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Length of the part of an identifier at the start of `text`: word bytes with a letter among them,
// or
// `_` alone; 0 if there is none.
std::size_t part_length(std::string_view text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_word);
  const auto length = static_cast<std::size_t>(end - text.begin());
  if (std::any_of(text.begin(), end, is_letter)) return length;
  return text.starts_with('_') ? 1 : 0;
}

}  // namespace

void opam_lexer::fail(std::string_view why) const {
  throw opam_syntax_error(line_, at_ - line_begin_ + 1, why);
}
void opam_lexer::fail(const opam_lexeme& at, std::string_view why) const {
  throw opam_syntax_error(at.line, at.column, why);
}

void opam_lexer::advance() noexcept {
  if (text_[at_] == '\n') {
    ++line_;
    line_begin_ = at_ + 1;
  }
  ++at_;
}

void opam_lexer::skip_blanks() {
  while (!over()) {
    const char c = text_[at_];
    if (c == ' ' || c == '\t' || c == '\n') {
      advance();
    } else if (at("\r\n")) {
      advance(2);
    } else if (c == '#') {
      skip_line_comment();
    } else if (at("(*")) {
      skip_block_comment();
    } else {
      return;
    }
  }
}

void opam_lexer::skip_line_comment() {
  const std::size_t end = std::min(text_.find('\n', at_), text_.size());
  at_ = end;
}

// They nest, and quotes mean nothing inside.
void opam_lexer::skip_block_comment() {
  opam_lexeme start;
  start.line = line_;
  start.column = at_ - line_begin_ + 1;
  std::size_t depth = 0;
  do {
    if (over()) fail(start, "comment without an end");
    if (at("(*")) {
      ++depth;
      advance(2);
    } else if (at("*)")) {
      --depth;
      advance(2);
    } else {
      advance();
    }
  } while (depth != 0);
}

opam_lexeme opam_lexer::next() {
  skip_blanks();
  opam_lexeme token;
  token.begin = at_;
  token.line = line_;
  token.column = at_ - line_begin_ + 1;
  if (!over()) {
    if (at("\"\"\"")) {
      read_triple_string(token);
    } else if (at("\"")) {
      read_string(token);
    } else if (is_word(text_[at_])) {
      read_word(token);
    } else {
      read_symbol(token);
    }
  }
  token.end = at_;
  token.text = text_.substr(token.begin, token.end - token.begin);
  return token;
}

void opam_lexer::read_string(opam_lexeme& token) {
  token.kind = opam_token::string;
  advance();
  while (true) {
    if (over()) fail(token, "string without an end");
    if (text_[at_] == '"') break;
    if (text_[at_] == '\\') {
      read_escape(token.value);
    } else {
      token.value += text_[at_];
      advance();
    }
  }
  advance();
}

void opam_lexer::read_triple_string(opam_lexeme& token) {
  token.kind = opam_token::string;
  advance(3);
  while (true) {
    if (over()) fail(token, "string without an end");
    if (at("\"\"\"")) break;
    if (text_[at_] == '\\') {
      read_escape(token.value);
    } else {
      token.value += text_[at_];
      advance();
    }
  }
  advance(3);
}

// At a backslash.
void opam_lexer::read_escape(std::string& value) {
  static constexpr std::string_view plain = "\\\"' nrtb";
  static constexpr std::string_view meaning = "\\\"' \n\r\t\b";
  const std::string_view rest = text_.substr(at_ + 1);
  if (rest.starts_with('\n') || rest.starts_with("\r\n")) {  // joins two lines
    advance(rest.starts_with('\n') ? 2 : 3);
    while (!over() && (text_[at_] == ' ' || text_[at_] == '\t')) advance();
    return;
  }
  const std::size_t known = rest.empty() ? std::string_view::npos : plain.find(rest[0]);
  if (known != std::string_view::npos) {
    value += meaning[known];
    advance(2);
  } else if (rest.size() >= 3 && std::all_of(rest.begin(), rest.begin() + 3, is_digit)) {
    const int code = (rest[0] - '0') * 100 + (rest[1] - '0') * 10 + (rest[2] - '0');
    if (code > 255) fail("escape over \\255 in a string");
    value += static_cast<char>(code);
    advance(4);
  } else if (rest.size() >= 3 && rest[0] == 'x' && hex_digit(rest[1]) >= 0 &&
             hex_digit(rest[2]) >= 0) {
    value += static_cast<char>(hex_digit(rest[1]) * 16 + hex_digit(rest[2]));
    advance(4);
  } else {
    fail("unknown escape in a string");
  }
}

// Parts joined by `+`, then perhaps `:part` without a blank.
std::size_t opam_lexer::identifier_length() const {
  const std::string_view rest = text_.substr(at_);
  std::size_t length = part_length(rest);
  if (length == 0) return 0;
  while (length < rest.size() && rest[length] == '+') {
    const std::size_t more = part_length(rest.substr(length + 1));
    if (more == 0) break;
    length += 1 + more;
  }
  if (length < rest.size() && rest[length] == ':') {
    const std::size_t more = part_length(rest.substr(length + 1));
    if (more > 1 || (more == 1 && rest[length + 1] != '_')) length += 1 + more;
  }
  return length;
}

std::size_t opam_lexer::integer_length() const {
  const std::string_view rest = text_.substr(at_);
  std::size_t length = rest.starts_with('-') ? 1 : 0;
  const std::size_t sign = length;
  while (length < rest.size() && (is_digit(rest[length]) || rest[length] == '_')) ++length;
  return length == sign ? 0 : length;
}

void opam_lexer::read_word(opam_lexeme& token) {
  const std::size_t identifier = identifier_length();
  const std::size_t integer = integer_length();
  if (identifier == 0 && integer == 0) fail("'-' is no value");
  token.kind = identifier >= integer ? opam_token::identifier : opam_token::integer;
  at_ += std::max(identifier, integer);
}

void opam_lexer::read_symbol(opam_lexeme& token) {
  struct symbol {
    std::string_view text;
    opam_token kind;
  };
  static constexpr std::array<symbol, 22> symbols{{
      {"=+=", opam_token::infix_operator},
      {"+=", opam_token::infix_operator},
      {"=+", opam_token::infix_operator},
      {":=", opam_token::infix_operator},
      {"=:", opam_token::infix_operator},
      {"!=", opam_token::relation},
      {"<=", opam_token::relation},
      {">=", opam_token::relation},
      {"=", opam_token::relation},
      {"<", opam_token::relation},
      {">", opam_token::relation},
      {"~", opam_token::relation},
      {"!", opam_token::prefix_operator},
      {"?", opam_token::prefix_operator},
      {"&", opam_token::infix_operator},
      {"|", opam_token::infix_operator},
      {":", opam_token::colon},
      {"(", opam_token::open},
      {"[", opam_token::open},
      {"{", opam_token::open},
      {")", opam_token::close},
      {"]", opam_token::close},
  }};
  for (const symbol& s : symbols) {
    if (!at(s.text)) continue;
    token.kind = s.kind;
    at_ += s.text.size();
    return;
  }
  if (!at("}")) fail("a byte that begins no token");
  token.kind = opam_token::close;
  ++at_;
}

std::string opam_quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      quoted += {'\\', static_cast<char>('0' + byte / 100), static_cast<char>('0' + byte / 10 % 10),
                 static_cast<char>('0' + byte % 10)};
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace fermata::mirror
