// SPDX-License-Identifier: MIT
// Requests of any bytes in pieces of any size.
//
// The first two bytes of an input choose the piece sizes. Beside not crashing: the same bytes give
// the same events in one piece and in many, the buffer stays within the limit, and a path that is
// handed out is clean.

#include <fermata/http/request_parser.hpp>
#include <fermata/http/validators.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using fermata::http::decision;
using fermata::http::parse_event;
using fermata::http::parser_limits;
using fermata::http::request;
using fermata::http::request_parser;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_path(const std::string& path) {
  require(path == "*" || path.front() == '/');
  require(path.find("//") == std::string::npos);
  require(path.find("/../") == std::string::npos && !path.ends_with("/.."));
  require(std::none_of(path.begin(), path.end(), [](char c) { return c >= 0 && c < 0x20; }));
}

void check_conditions(const request& r) {
  const fermata::http::representation what{"\"abc\"", std::chrono::sys_seconds{}, 1000,
                                           "text/plain"};
  const decision d = evaluate(r, what, std::chrono::sys_seconds{});
  if (d.status == 206) require(d.range.first <= d.range.last && d.range.last < what.size);
}

class pieces {
public:
  explicit pieces(std::uint32_t seed) : state_(seed | 1) {}
  std::size_t next() {
    state_ = state_ * 1664525 + 1013904223;
    return 1 + (state_ >> 16) % 40;
  }

private:
  std::uint32_t state_;
};

template <typename NextSize>
std::string run(std::string_view text, NextSize next_size) {
  parser_limits limits;
  limits.request_line_bytes = 256;
  limits.header_bytes = 512;
  limits.header_count = 16;
  limits.body_bytes = 256;
  request_parser parser(limits);
  std::string events;
  for (;;) {
    const parse_event e = parser.next();
    require(parser.capacity() <= limits.header_bytes);
    switch (e) {
      case parse_event::head:
        check_path(parser.current().path());
        check_conditions(parser.current());
        events += "head " + std::string(parser.current().target()) + ";";
        break;
      case parse_event::body:
        require(!parser.body_piece().empty());
        parser.collect_body();
        break;
      case parse_event::done:
        require(parser.current().body().size() <= limits.body_bytes);
        events += "done " + parser.current().body() + ";";
        break;
      case parse_event::failed:
        return events + std::to_string(parser.failure().status);
      case parse_event::need_more:
        if (text.empty()) return events;
        text.remove_prefix(parser.feed(text.substr(0, next_size())));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  pieces sizes(static_cast<std::uint32_t>(data[0] << 8 | data[1]));
  const std::string whole = run(text, [] { return std::size_t{1} << 20; });
  const std::string cut = run(text, [&sizes] { return sizes.next(); });
  // A limit may be met before or after another fault, as the pieces fall.
  const bool both_failed =
      !whole.empty() && !cut.empty() && whole.back() != ';' && cut.back() != ';';
  require(both_failed || whole == cut);
  return 0;
}
