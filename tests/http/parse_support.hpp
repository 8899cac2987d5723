// SPDX-License-Identifier: MIT
// Parsing whole texts in tests.
#pragma once

#include <fermata/http/request_parser.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fermata::http::test {

/// What became of a text: one line an event, the requests' bodies and the last failure.
struct parsed {
  std::string events;  // "head GET /a; body abc; done; " and so on
  int status = 0;
  std::string why;
};

inline void note(parsed& out, const request_parser& parser, parse_event e) {
  switch (e) {
    case parse_event::head:
      out.events += std::string(parser.current().method()) + " " + parser.current().path() + "; ";
      break;
    case parse_event::body:
      out.events += std::string(parser.body_piece());
      break;
    case parse_event::done:
      out.events += "done; ";
      break;
    case parse_event::failed:
      out.status = parser.failure().status;
      out.why = std::string(parser.failure().why);
      break;
    case parse_event::need_more:
      break;
  }
}

/// Feeds `text` in pieces of `piece` bytes and notes all that comes out.
inline parsed parse(std::string_view text, std::size_t piece = 1 << 20, parser_limits limits = {}) {
  request_parser parser(limits);
  parsed out;
  for (;;) {
    const parse_event e = parser.next();
    note(out, parser, e);
    if (e == parse_event::failed) return out;
    if (e != parse_event::need_more) continue;
    if (text.empty()) return out;
    text.remove_prefix(parser.feed(text.substr(0, piece)));
  }
}

/// The status of the failure that `head`, given lines that end with \n, is met with; 0 for none.
inline int status_of(std::string_view head, parser_limits limits = {}) {
  std::string text;
  for (const char c : head) {
    if (c == '\n') text += '\r';
    text += c;
  }
  return parse(text, 1 << 20, limits).status;
}

/// One request that is known to be good: its first line and fields, lines end with \n.
inline request parse_request(std::string_view lines) {
  request_parser parser;
  std::string text;
  for (const char c : lines) {
    if (c == '\n') text += '\r';
    text += c;
  }
  text += "Host: h\r\n\r\n";
  parser.feed(text);
  if (parser.next() != parse_event::head)
    throw std::runtime_error(std::string(parser.failure().why));
  return std::move(parser.current());
}

}  // namespace fermata::http::test
