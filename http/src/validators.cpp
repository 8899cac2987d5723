// SPDX-License-Identifier: MIT
// Preconditions and ranges, as a pure function of request and representation.

#include "text.hpp"

#include <fermata/http/http_date.hpp>
#include <fermata/http/validators.hpp>
#include <fermata/loop/error.hpp>

#include <algorithm>

namespace fermata::http {
namespace {

using std::chrono::sys_seconds;

enum class comparison { strong, weak };

bool is_tag_char(char c) noexcept {
  const auto u = static_cast<unsigned char>(c);
  return u == 0x21 || (u >= 0x23 && u != 0x7f);
}

// A tag as it stands in a field: W/"opaque" or "opaque".
struct parsed_tag {
  std::string_view opaque;  // with its quotes
  bool weak = false;
};

std::optional<parsed_tag> take_tag(std::string_view& rest) {
  parsed_tag tag;
  std::string_view s = rest;
  if (s.starts_with("W/")) {
    tag.weak = true;
    s.remove_prefix(2);
  }
  if (!s.starts_with('"')) return std::nullopt;
  const std::size_t end = s.find('"', 1);
  if (end == std::string_view::npos) return std::nullopt;
  tag.opaque = s.substr(0, end + 1);
  const std::string_view inside = s.substr(1, end - 1);
  if (!std::all_of(inside.begin(), inside.end(), is_tag_char)) return std::nullopt;
  rest = s.substr(end + 1);
  return tag;
}

bool matches(const parsed_tag& sent, std::string_view ours, comparison how) {
  const bool weak = ours.starts_with("W/");
  if (how == comparison::strong && (weak || sent.weak)) return false;
  return sent.opaque == (weak ? ours.substr(2) : ours);
}

// Whether a list of entity tags, or `*`, names what there is.
bool list_matches(std::string_view list, std::string_view ours, comparison how) {
  std::string_view rest = detail::trim(list);
  if (rest == "*") return true;
  bool found = false;
  while (!rest.empty()) {
    if (rest.front() == ',') {
      rest = detail::trim(rest.substr(1));
      continue;
    }
    const auto tag = take_tag(rest);
    if (!tag) return false;
    rest = detail::trim(rest);
    if (!rest.empty() && rest.front() != ',') return false;
    found = found || (!ours.empty() && matches(*tag, ours, how));
  }
  return found;
}

// The lines of a list field are one list.
bool any_line_matches(const request& r,
                      std::string_view name,
                      std::string_view ours,
                      comparison how) {
  for (std::size_t i = 0; i < r.header_count(); ++i) {
    const header_view h = r.header(i);
    if (detail::equal_ignoring_case(h.name, name) && list_matches(h.value, ours, how)) return true;
  }
  return false;
}

std::optional<sys_seconds> find_date(const request& r, std::string_view name, sys_seconds now) {
  if (r.count_headers(name) != 1) return std::nullopt;
  return parse_http_date(*r.find_header(name), now);
}

bool passes_match(const request& r, const representation& what, sys_seconds now) {
  if (r.find_header("If-Match"))
    return any_line_matches(r, "If-Match", what.etag, comparison::strong);
  const auto since = find_date(r, "If-Unmodified-Since", now);
  return !since || !what.last_modified || *what.last_modified <= *since;
}

bool is_fresh(const request& r, const representation& what, bool reads, sys_seconds now) {
  if (r.find_header("If-None-Match"))
    return any_line_matches(r, "If-None-Match", what.etag, comparison::weak);
  if (!reads || !what.last_modified) return false;
  const auto since = find_date(r, "If-Modified-Since", now);
  return since && *what.last_modified <= *since;
}

// A date in If-Range must be the very one that was sent.
bool range_applies(const request& r, const representation& what, sys_seconds now) {
  const std::size_t count = r.count_headers("If-Range");
  if (count == 0) return true;
  if (count > 1) return false;
  std::string_view value = *r.find_header("If-Range");
  if (const auto tag = take_tag(value))
    return value.empty() && !what.etag.empty() && matches(*tag, what.etag, comparison::strong);
  const auto date = parse_http_date(value, now);
  return date && what.last_modified && *date == *what.last_modified;
}

}  // namespace

std::string quoted_etag(std::string_view opaque) {
  if (!std::all_of(opaque.begin(), opaque.end(), is_tag_char))
    throw contract_error("cannot make an entity tag: a quote, space or control character in it");
  std::string out = "\"";
  out += opaque;
  out += '"';
  return out;
}

decision evaluate(const request& r, const representation& what, sys_seconds now) {
  const bool is_get = r.method() == "GET";
  const bool reads = is_get || r.is_head();
  if (!passes_match(r, what, now)) return {412, {}};
  if (is_fresh(r, what, reads, now)) return {reads ? 304 : 412, {}};
  if (!is_get || r.count_headers("Range") != 1 || !range_applies(r, what, now)) return {};
  const range_answer answer = read_range(*r.find_header("Range"), what.size);
  switch (answer.result) {
    case range_result::part:
      return {206, answer.range};
    case range_result::unsatisfiable:
      return {416, {}};
    case range_result::whole:
      break;
  }
  return {};
}

}  // namespace fermata::http
