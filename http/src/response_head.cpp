// SPDX-License-Identifier: MIT
// Writing heads: appends to one string, no format strings; this runs once a request.

#include "text.hpp"

#include <fermata/http/response_head.hpp>
#include <fermata/http/status.hpp>
#include <fermata/loop/error.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace fermata::http {
namespace {

constexpr std::array<std::string_view, 8> written_by_server = {
    "connection", "content-length",    "date",   "keep-alive", "server",
    "trailer",    "transfer-encoding", "upgrade"};

void check_field(std::string_view name, std::string_view value) {
  const std::string text = "cannot set the field " + std::string(name.substr(0, 64)) + ": ";
  if (!detail::is_token(name)) throw contract_error(text + "the name is no token");
  if (std::any_of(value.begin(), value.end(), detail::is_forbidden_control))
    throw contract_error(text + "a control character in the value");
  for (const std::string_view own : written_by_server)
    if (detail::equal_ignoring_case(own, name))
      throw contract_error(text + "it is written by the server");
}

bool is_line_of(std::string_view line, std::string_view name) noexcept {
  return line.size() > name.size() && line[name.size()] == ':' &&
         detail::equal_ignoring_case(line.substr(0, name.size()), name);
}

void append_number(std::string& out, std::uint64_t value) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

void append_status_line(std::string& out, int status) {
  if (status == 200) {
    out += "HTTP/1.1 200 OK\r\n";
    return;
  }
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::uint64_t>(std::clamp(status, 100, 999)));
  out += ' ';
  out += reason_phrase(status);
  out += "\r\n";
}

}  // namespace

void header_block::add(std::string_view name, std::string_view value) {
  check_field(name, value);
  text_.reserve(text_.size() + name.size() + value.size() + 4);
  text_ += name;
  text_ += ": ";
  text_ += detail::trim(value);
  text_ += "\r\n";
}

void header_block::set(std::string_view name, std::string_view value) {
  check_field(name, value);
  const std::string kept_name(name);  // both may point into text_
  const std::string kept_value(value);
  remove(kept_name);
  add(kept_name, kept_value);
}

bool header_block::remove(std::string_view name) {
  bool found = false;
  for (std::size_t at = 0; at < text_.size();) {
    const std::size_t end = text_.find('\n', at) + 1;
    if (is_line_of(std::string_view(text_).substr(at, end - at), name)) {
      text_.erase(at, end - at);
      found = true;
    } else {
      at = end;
    }
  }
  return found;
}

std::optional<std::string_view> header_block::find(std::string_view name) const noexcept {
  for (std::string_view rest = text_; !rest.empty();) {
    const std::size_t end = rest.find('\n') + 1;
    const std::string_view line = rest.substr(0, end - 2);
    if (is_line_of(line, name)) return detail::trim(line.substr(name.size() + 1));
    rest.remove_prefix(end);
  }
  return std::nullopt;
}

void append_head(std::string& out,
                 int status,
                 const header_block& headers,
                 const head_facts& facts) {
  append_status_line(out, status);
  if (!facts.date.empty()) {
    out += "Date: ";
    out += facts.date;
    out += "\r\n";
  }
  out += "Server: fermata\r\n";
  if (!is_bodiless(status) && facts.length) {
    out += "Content-Length: ";
    append_number(out, *facts.length);
    out += "\r\n";
  } else if (!is_bodiless(status) && facts.chunked) {
    out += "Transfer-Encoding: chunked\r\n";
  }
  if (!facts.keep_alive)
    out += "Connection: close\r\n";
  else if (facts.version == http_version::v1_0)
    out += "Connection: keep-alive\r\n";
  out += headers.text();
  out += "\r\n";
}

}  // namespace fermata::http
