// SPDX-License-Identifier: MIT
// opam's syntax puts nothing between two items. Where a value ends shows only by what follows: a
// value is an operand with conditions in braces behind it, and goes on as long as an operator
// follows.

#include "opam_items.hpp"

#include "opam_lexer.hpp"

#include <algorithm>
#include <utility>

namespace fermata::mirror {
namespace {

class item_reader {
public:
  explicit item_reader(std::string_view text) : lexer_(text) { advance(); }

  std::vector<opam_item> all() {
    std::vector<opam_item> items;
    while (token_.kind != opam_token::end) items.push_back(item());
    return items;
  }

private:
  void advance() {
    previous_end_ = token_.end;
    token_ = lexer_.next();
  }
  [[noreturn]] void fail(std::string_view why) const {
    throw opam_syntax_error(token_.line, token_.column, why);
  }
  [[nodiscard]] bool is(opam_token kind, std::string_view text) const {
    return token_.kind == kind && token_.text == text;
  }

  opam_item item() {
    opam_item item;
    if (token_.kind != opam_token::identifier) fail("a field's name should stand here");
    item.name = token_.text;
    item.begin = token_.begin;
    advance();
    if (token_.kind == opam_token::colon) {
      advance();
      value(item);
    } else {
      item.is_section = true;
      if (token_.kind == opam_token::string) advance();
      if (!is(opam_token::open, "{")) fail("':' or '{' should stand here");
      section();
    }
    item.end = previous_end_;
    return item;
  }

  // What a section holds is of no interest here, but its brackets must match.
  void section() {
    std::string brackets;
    do {
      if (token_.kind == opam_token::end) fail("section without an end");
      if (token_.kind == opam_token::open) {
        brackets += token_.text;
      } else if (token_.kind == opam_token::close) {
        close(brackets);
      }
      advance();
    } while (!brackets.empty());
  }

  void close(std::string& brackets) const {
    const std::string_view pairs = "()[]{}";
    const char expected = brackets.empty() ? '\0' : pairs[pairs.find(brackets.back()) + 1];
    if (token_.text[0] != expected) fail("a bracket that closes nothing");
    brackets.pop_back();
  }

  // A value and its conditions. `operand` says whether one has just been read.
  void value(opam_item& item) {
    std::string brackets;
    bool operand = false;
    while (true) {
      switch (token_.kind) {
        case opam_token::identifier:
        case opam_token::integer:
        case opam_token::string:
          if (operand && brackets.empty()) return;
          take_string(item, brackets);
          operand = true;
          break;
        case opam_token::open:
          if (operand && brackets.empty() && token_.text != "{") return;
          if (!operand && token_.text == "{") fail("a value should stand before '{'");
          brackets += token_.text;
          operand = false;
          break;
        case opam_token::close:
          if (brackets.empty() && operand) return;
          close(brackets);
          operand = true;
          break;
        case opam_token::relation:
        case opam_token::prefix_operator:
          operand = false;
          break;
        case opam_token::infix_operator:
          if (!operand) fail("an operator without a value before it");
          operand = false;
          break;
        case opam_token::colon:
        case opam_token::end:
          if (brackets.empty() && operand) return;
          fail("a value should stand here");
      }
      advance();
    }
  }

  void take_string(opam_item& item, const std::string& brackets) const {
    if (token_.kind != opam_token::string) return;
    if (brackets.find('{') == std::string::npos) item.strings.push_back(token_.value);
  }

  opam_lexer lexer_;
  opam_lexeme token_;
  std::size_t previous_end_ = 0;
};

}  // namespace

std::vector<opam_item> opam_items(std::string_view text) { return item_reader(text).all(); }

}  // namespace fermata::mirror
