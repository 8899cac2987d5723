// SPDX-License-Identifier: MIT
// A status, a length and whether the connection goes on.

#include "probe_answer.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <system_error>

namespace fermata::http {
namespace {

constexpr std::size_t most_head_bytes = 64 * 1024;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// `name` is in lower case, with the line end before it; the value comes back in lower case.
std::string find_value(std::string_view head, std::string_view name) {
  const auto at = std::search(head.begin(), head.end(), name.begin(), name.end(),
                              [](char a, char b) { return lower(a) == b; });
  if (at == head.end()) return {};
  const auto first = at + static_cast<std::ptrdiff_t>(name.size());
  std::string value(first, std::find(first, head.end(), '\r'));
  value.erase(0, std::min(value.find_first_not_of(' '), value.size()));
  std::transform(value.begin(), value.end(), value.begin(), lower);
  return value;
}

}  // namespace

answer_reader::progress answer_reader::take(std::string_view bytes) {
  if (!in_body_) {
    head_ += bytes;
    const std::size_t end = head_.find("\r\n\r\n");
    if (end == std::string::npos)
      return head_.size() > most_head_bytes ? progress::broken : progress::more;
    bytes = bytes.substr(bytes.size() - (head_.size() - end - 4));
    if (!read_head(std::string_view(head_).substr(0, end + 2))) return progress::broken;
    in_body_ = true;
  }
  if (bytes.size() > left_) return progress::broken;  // nothing was asked for yet
  left_ -= bytes.size();
  return left_ == 0 ? progress::whole : progress::more;
}

bool answer_reader::read_head(std::string_view head) {
  if (!head.starts_with("HTTP/1.") || head.size() < 14) return false;
  if (std::from_chars(head.data() + 9, head.data() + 12, status_).ec != std::errc{}) return false;
  keep_alive_ = find_value(head, "\r\nconnection:") != "close";
  left_ = 0;
  if (status_ == 204 || status_ == 304) return true;
  const std::string length = find_value(head, "\r\ncontent-length:");
  const char* end = length.data() + length.size();
  return !length.empty() && std::from_chars(length.data(), end, left_).ptr == end;
}

}  // namespace fermata::http
