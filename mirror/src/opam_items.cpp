// SPDX-License-Identifier: MIT
// opam's syntax puts nothing between two items. Where a value ends shows only by what follows: a
// value is an operand with conditions in braces behind it, and goes on as long as an operator
// follows.

#include "opam_items.hpp"

#include <algorithm>

namespace fermata::mirror {
namespace {

constexpr std::string_view blanks = " \t\r";

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '+';
}

// `name:`, `name {` or `name "label" {` at the start of the line.
bool begins_item(std::string_view line) {
  const auto end = std::find_if_not(line.begin(), line.end(), is_word);
  if (end == line.begin()) return false;
  line.remove_prefix(static_cast<std::size_t>(end - line.begin()));
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  if (line.starts_with(':') || line.starts_with('{')) return true;
  return line.starts_with('"') && line.find('{') != std::string_view::npos;
}

// Within a section items are indented, and a brace ends it.
bool is_place_to_go_on(std::string_view line, bool in_section) {
  if (!in_section) return begins_item(line);
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  return line.starts_with('}') || begins_item(line);
}

}  // namespace

void opam_reader::advance() {
  previous_end_ = token_.end();
  has_token_ = true;
  try {
    token_ = lexer_.next();
  } catch (const opam_syntax_error& e) {
    bad_ = e;  // what was read until here may be whole
  }
}

void opam_reader::throw_bad() const {
  if (bad_) throw opam_syntax_error(*bad_);
}

opam_part opam_reader::next() {
  if (!has_token_) {
    advance();
  }
  if (bad_) {
    item_begin_ = std::max(item_begin_, previous_end_);
    throw_bad();
  }
  opam_part part;
  if (token_.kind == opam_token::end) {
    if (depth_ == 0) return part;
    depth_ = 0;
    fail("section without an end");
  }
  if (depth_ > 0 && token_.is(opam_token::close, '}')) {
    part.what = opam_part::kind::section_end;
    part.end = token_.end();
    part.depth = --depth_;
    previous_end_ = token_.end();
    has_token_ = false;  // the next one is read when it is asked for: it may be bad
    return part;
  }
  return read_item();
}

opam_part opam_reader::read_item() {
  opam_part part;
  if (token_.kind != opam_token::identifier) fail("a field's name should stand here");
  item_begin_ = token_.begin;
  part.name = token_;
  part.depth = depth_;
  advance();
  throw_bad();
  if (token_.kind == opam_token::colon) {
    advance();
    throw_bad();
    read_value();
    part.what = opam_part::kind::field;
    part.end = previous_end_;
    return part;
  }
  part.what = opam_part::kind::section;
  if (token_.kind == opam_token::string) {
    part.label = token_;
    advance();
    throw_bad();
  }
  if (!token_.is(opam_token::open, '{')) fail("':' or '{' should stand here");
  ++depth_;
  part.end = previous_end_ = token_.end();
  has_token_ = false;
  return part;
}

void opam_reader::close() {
  constexpr std::string_view pairs = "()[]{}";
  const char expected = brackets_.empty() ? '\0' : pairs[pairs.find(brackets_.back()) + 1];
  if (token_.text[0] != expected) fail("a bracket that closes nothing");
  brackets_.pop_back();
}

void opam_reader::read_value() {
  brackets_.clear();
  value_.clear();
  bool operand = false;  // the last thing was a value
  bool awaited = true;   // a value has to come
  while (true) {
    const bool may_end = brackets_.empty() && operand;
    switch (token_.kind) {
      case opam_token::identifier:
      case opam_token::integer:
      case opam_token::string:
        if (may_end) return;
        operand = true;
        awaited = false;
        break;
      case opam_token::open:
        if (may_end && token_.text != "{") return;
        if (!operand && token_.text == "{") fail("a value should stand before '{'");
        brackets_ += token_.text;
        operand = awaited = false;
        break;
      case opam_token::close:
        if (may_end) return;
        if (awaited && !brackets_.empty()) fail("a value should stand here");
        close();
        operand = true;
        break;
      case opam_token::infix_operator:
        if (!operand) fail("an operator without a value before it");
        [[fallthrough]];
      case opam_token::relation:
      case opam_token::prefix_operator:
        operand = false;
        awaited = true;
        break;
      case opam_token::colon:
      case opam_token::end:
        if (may_end) return;
        fail("a value should stand here");
    }
    value_.push_back(token_);
    advance();
    if (bad_ && brackets_.empty() && operand) return;
    throw_bad();
  }
}

void opam_reader::recover() {
  std::size_t at = item_begin_;
  has_token_ = false;
  bad_.reset();
  token_ = opam_lexeme();
  while (true) {
    at = text_.find('\n', at);
    if (at == std::string_view::npos) break;
    ++at;
    const std::string_view line = text_.substr(at, text_.find('\n', at) - at);
    if (is_place_to_go_on(line, depth_ > 0)) break;
  }
  at = std::min(at, text_.size());
  item_begin_ = previous_end_ = token_.begin = at;
  lexer_.restart(at);
}

std::vector<std::string> opam_strings(const std::vector<opam_lexeme>& value) {
  std::vector<std::string> strings;
  std::size_t conditions = 0;
  for (const opam_lexeme& l : value) {
    if (l.is(opam_token::open, '{')) ++conditions;
    if (l.is(opam_token::close, '}')) --conditions;
    if (l.kind == opam_token::string && conditions == 0) strings.push_back(opam_string(l));
  }
  return strings;
}

std::vector<opam_item> opam_items(std::string_view text) {
  std::vector<opam_item> items;
  opam_reader reader(text);
  while (true) {
    const opam_part part = reader.next();
    if (part.what == opam_part::kind::end) return items;
    if (part.depth != 0) continue;
    if (part.what == opam_part::kind::section_end) {
      items.back().end = part.end;
      continue;
    }
    opam_item item;
    item.name = part.name.text;
    item.begin = part.name.begin;
    item.end = part.end;
    item.is_section = part.what == opam_part::kind::section;
    if (!item.is_section) item.strings = opam_strings(reader.value());
    items.push_back(std::move(item));
  }
}

}  // namespace fermata::mirror
