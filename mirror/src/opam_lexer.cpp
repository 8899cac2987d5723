// SPDX-License-Identifier: MIT
// A lexer by hand: each token begins with a byte that tells its kind, but for words, where the
// longest of identifier and integer wins. Lines are counted when an error has to name one.

#include "opam_lexer.hpp"

#include <algorithm>
#include <array>

namespace fermata::mirror {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// What a byte is to the scanning loops.
enum : std::uint8_t { word_byte = 1, letter_byte = 2, blank_byte = 4 };
constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> classes{};
  for (unsigned i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    if (is_letter(c)) {
      classes[i] = word_byte | letter_byte;
    } else if (is_digit(c) || c == '_' || c == '-') {
      classes[i] = word_byte;
    } else if (c == ' ' || c == '\t' || c == '\n') {
      classes[i] = blank_byte;
    }
  }
  return classes;
}
constexpr std::array<std::uint8_t, 256> classes = make_classes();
std::uint8_t class_of(char c) { return classes[static_cast<unsigned char>(c)]; }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Length of the part of an identifier at the start of `text`: word bytes with a letter among them,
// or `_` alone; 0 if there is none.
std::size_t part_length(std::string_view text) {
  std::size_t length = 0;
  std::uint8_t seen = 0;
  for (; length < text.size() && (class_of(text[length]) & word_byte) != 0; ++length) {
    seen |= class_of(text[length]);
  }
  if ((seen & letter_byte) != 0) return length;
  return text.starts_with('_') ? 1 : 0;
}

constexpr std::string_view plain_escapes = "\\\"' nrtb";
constexpr std::string_view escape_meanings = "\\\"' \n\r\t\b";

int decimal_code(std::string_view digits) {
  return (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
}

}  // namespace

void opam_lexer::fail(std::size_t offset, std::string_view why) const {
  const std::string_view before = text_.substr(0, offset);
  const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  const auto line = static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n')) + 1;
  throw opam_syntax_error(line, offset - line_begin + 1, why);
}

void opam_lexer::skip_blanks() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if ((class_of(c) & blank_byte) != 0) {
      ++at_;
    } else if (c == '#') {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else if (c == '(' && at("(*")) {
      skip_block_comment();
    } else if (c == '\r' && at("\r\n")) {
      at_ += 2;
    } else {
      return;
    }
  }
}

// They nest, and quotes mean nothing inside.
void opam_lexer::skip_block_comment() {
  const std::size_t start = at_;
  std::size_t depth = 0;
  do {
    if (at_ >= text_.size()) fail(start, "comment without an end");
    if (at("(*")) {
      ++depth;
      at_ += 2;
    } else if (at("*)")) {
      --depth;
      at_ += 2;
    } else {
      ++at_;
    }
  } while (depth != 0);
}

opam_lexeme opam_lexer::next() {
  skip_blanks();
  opam_lexeme token;
  token.begin = at_;
  if (at_ >= text_.size()) return token;
  const char c = text_[at_];
  if (c == '"') {
    token.kind = opam_token::string;
    token.text = text_.substr(at_, string_end(at("\"\"\"") ? 3 : 1) - at_);
  } else if ((class_of(c) & word_byte) != 0) {
    read_word(token);
  } else {
    read_symbol(token);
  }
  at_ = token.end();
  return token;
}

// Offset behind the quotes that end the string which begins at `at_`.
std::size_t opam_lexer::string_end(std::size_t quotes) const {
  const std::string_view mark = std::string_view("\"\"\"").substr(0, quotes);
  std::size_t from = at_ + quotes;
  std::size_t end = text_.find(mark, from);
  while (end != std::string_view::npos) {
    const std::size_t escape = text_.substr(from, end - from).find('\\');
    if (escape == std::string_view::npos) return end + quotes;
    from += escape;
    from += escape_length(from);
    if (end < from) end = text_.find(mark, from);  // it was escaped
  }
  fail(at_, "string without an end");
}

// At a backslash.
std::size_t opam_lexer::escape_length(std::size_t at) const {
  const std::string_view rest = text_.substr(at + 1);
  if (rest.empty()) return 1;
  if (plain_escapes.find(rest[0]) != std::string_view::npos) return 2;
  if (rest.starts_with('\n') || rest.starts_with("\r\n")) {  // joins two lines
    const std::size_t line = rest.find('\n') + 1;
    return 1 + std::min(rest.find_first_not_of(" \t", line), rest.size());
  }
  if (rest.size() >= 3 && std::all_of(rest.begin(), rest.begin() + 3, is_digit)) {
    if (decimal_code(rest) > 255) fail(at, "escape over \\255 in a string");
    return 4;
  }
  if (rest.size() >= 3 && rest[0] == 'x' && hex_digit(rest[1]) >= 0 && hex_digit(rest[2]) >= 0) {
    return 4;
  }
  fail(at, "unknown escape in a string");
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

void opam_lexer::read_word(opam_lexeme& token) const {
  const std::size_t identifier = identifier_length();
  const std::size_t integer = identifier > 1 ? 0 : integer_length();
  if (identifier == 0 && integer == 0) fail(at_, "'-' is no value");
  token.kind = identifier >= integer ? opam_token::identifier : opam_token::integer;
  token.text = text_.substr(at_, std::max(identifier, integer));
}

void opam_lexer::read_symbol(opam_lexeme& token) const {
  struct symbol {
    std::string_view text;
    opam_token kind;
  };
  static constexpr std::array<symbol, 23> symbols{{
      {"[", opam_token::open},
      {"]", opam_token::close},
      {"{", opam_token::open},
      {"}", opam_token::close},
      {":=", opam_token::infix_operator},
      {":", opam_token::colon},
      {"&", opam_token::infix_operator},
      {"|", opam_token::infix_operator},
      {">=", opam_token::relation},
      {">", opam_token::relation},
      {"<=", opam_token::relation},
      {"<", opam_token::relation},
      {"=+=", opam_token::infix_operator},
      {"=+", opam_token::infix_operator},
      {"=:", opam_token::infix_operator},
      {"=", opam_token::relation},
      {"!=", opam_token::relation},
      {"!", opam_token::prefix_operator},
      {"(", opam_token::open},
      {")", opam_token::close},
      {"+=", opam_token::infix_operator},
      {"~", opam_token::relation},
      {"?", opam_token::prefix_operator},
  }};
  for (const symbol& s : symbols) {
    if (s.text[0] != text_[at_] || !at(s.text)) continue;
    token.kind = s.kind;
    token.text = text_.substr(at_, s.text.size());
    return;
  }
  fail(at_, "a byte that begins no token");
}

std::string opam_string(const opam_lexeme& string) {
  const std::size_t quotes =
      string.text.size() >= 6 && string.text.starts_with("\"\"\"") ? std::size_t{3} : 1;
  std::string_view left = string.text.substr(quotes, string.text.size() - 2 * quotes);
  std::string value;
  while (true) {
    const std::size_t escape = left.find('\\');
    value += left.substr(0, escape);
    if (escape == std::string_view::npos) return value;
    left.remove_prefix(escape + 1);
    const char c = left[0];
    if (const std::size_t known = plain_escapes.find(c); known != std::string_view::npos) {
      value += escape_meanings[known];
      left.remove_prefix(1);
    } else if (c == 'x') {
      value += static_cast<char>(hex_digit(left[1]) * 16 + hex_digit(left[2]));
      left.remove_prefix(3);
    } else if (is_digit(c)) {
      value += static_cast<char>(decimal_code(left));
      left.remove_prefix(3);
    } else {  // a line's end
      const std::size_t line = left.find('\n') + 1;
      left.remove_prefix(std::min(left.find_first_not_of(" \t", line), left.size()));
    }
  }
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
