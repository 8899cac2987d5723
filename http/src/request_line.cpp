// SPDX-License-Identifier: MIT
// Request lines and targets: origin-form, absolute-form and `*`.
//
// A path is decoded once. What would mean something else after decoding is refused, not guessed:
// an encoded slash, an encoded control character, a dot segment in either form.

#include "request_line.hpp"

#include "request_access.hpp"
#include "text.hpp"

#include <algorithm>

namespace fermata::http::detail {
namespace {

constexpr parse_failure bad_request(std::string_view why) { return {400, why}; }

bool is_target_char(char c) noexcept { return c > 0x20 && c < 0x7f && c != '#'; }

parse_failure judge_version(std::string_view version) noexcept {
  const bool formed = version.size() == 8 && version.substr(0, 5) == "HTTP/" &&
                      is_digit(version[5]) && version[6] == '.' && is_digit(version[7]);
  if (!formed) return bad_request("the request line does not end with an HTTP version");
  if (version != "HTTP/1.1" && version != "HTTP/1.0")
    return {505, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
  return {};
}

bool is_dot_segment(std::string_view s) noexcept { return s == "." || s == ".."; }

bool has_dot_segment(std::string_view path) noexcept {
  for (std::size_t from = 1; from <= path.size();) {
    const std::size_t to = std::min(path.find('/', from), path.size());
    if (is_dot_segment(path.substr(from, to - from))) return true;
    from = to + 1;
  }
  return false;
}

// Decodes `raw` onto `path`; repeated slashes become one.
parse_failure decode_path(std::string_view raw, std::string& path) {
  for (std::size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    if (c == '%') {
      const auto high = i + 2 < raw.size() ? hex_digit(raw[i + 1]) : std::nullopt;
      const auto low = i + 2 < raw.size() ? hex_digit(raw[i + 2]) : std::nullopt;
      if (!high || !low) return bad_request("a percent sign without two hexadecimal digits");
      c = static_cast<char>(*high << 4 | *low);
      i += 2;
      if (c == '/') return bad_request("an encoded slash in the path");
      if (is_forbidden_control(c) || c == '\t')
        return bad_request("an encoded control character in the path");
    } else if (c == '/' && !path.empty() && path.back() == '/') {
      continue;
    }
    path += c;
  }
  return {};
}

parse_failure read_path_and_query(request& r, std::string_view rest) {
  const std::size_t mark = rest.find('?');
  if (mark != std::string_view::npos) request_access::set_query(r, rest.substr(mark + 1));
  const std::string_view raw = rest.substr(0, mark);
  std::string& path = request_access::path(r);
  if (raw.empty()) {
    path = "/";  // of an absolute target such as http://host?query
    return {};
  }
  if (raw.find('%') == std::string_view::npos && raw.find("//") == std::string_view::npos) {
    path.assign(raw);
  } else if (const parse_failure f = decode_path(raw, path)) {
    return f;
  }
  if (path.find("/.") != std::string::npos && has_dot_segment(path))
    return bad_request("a dot segment in the path");
  return {};
}

parse_failure read_absolute(request& r, std::string_view target) {
  const std::size_t colon = target.find("://");
  if (colon == std::string_view::npos) return bad_request("the target is no path and no URL");
  const std::string_view scheme = target.substr(0, colon);
  if (!equal_ignoring_case(scheme, "http") && !equal_ignoring_case(scheme, "https"))
    return bad_request("the scheme of the target is not http");
  const std::string_view rest = target.substr(colon + 3);
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, end);
  if (authority.empty() || !is_authority(authority))
    return bad_request("the host of the target is malformed");
  request_access::set_authority(r, authority);
  return read_path_and_query(r, rest.substr(end));
}

}  // namespace

bool is_authority(std::string_view value) noexcept {
  return std::all_of(value.begin(), value.end(), [](char c) {
    return is_digit(c) || is_alpha(c) ||
           std::string_view("-._~!$&'()*+;=%:[]").find(c) != std::string_view::npos;
  });
}

parse_failure judge_request_line(std::string_view line) noexcept {
  const std::size_t first = line.find(' ');
  const std::string_view method = line.substr(0, first);
  if (!is_token(method)) return bad_request("the request line does not begin with a method");
  if (first == std::string_view::npos) return bad_request("the request line has no target");
  const std::size_t second = line.find(' ', first + 1);
  const std::string_view target = line.substr(first + 1, second - first - 1);
  if (target.empty()) return bad_request("the request line has no target");
  if (!std::all_of(target.begin(), target.end(), is_target_char))
    return bad_request("the target holds a character that must be encoded");
  if (second == std::string_view::npos) return bad_request("the request line has no HTTP version");
  if (const parse_failure f = judge_version(line.substr(second + 1))) return f;
  if (method == "CONNECT") return {501, "this server is no proxy"};
  return {};
}

parse_failure judge_line_start(std::string_view line) noexcept {
  if (line.empty() || line.front() == '\r') return {};
  const std::size_t space = std::min(line.find(' '), line.size());
  const std::string_view method = line.substr(0, space);
  const bool has_cr = space == line.size() && method.back() == '\r';
  if (!is_token(has_cr ? method.substr(0, method.size() - 1) : method))
    return bad_request("the request line does not begin with a method");
  return {};
}

parse_failure read_target(request& r) {
  const std::string_view target = r.target();
  if (target.front() == '/') return read_path_and_query(r, target);
  if (target == "*") {
    if (r.method() != "OPTIONS") return bad_request("the target * is for OPTIONS alone");
    request_access::path(r) = "*";
    return {};
  }
  return read_absolute(r, target);
}

}  // namespace fermata::http::detail
