// SPDX-License-Identifier: MIT
// A status, the end of the body and whether the connection goes on.

#include "probe_answer.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <system_error>

namespace fermata::http {
namespace {

constexpr std::size_t most_head_bytes = 64 * 1024;
constexpr std::uint64_t most_chunk_bytes = std::uint64_t{1} << 40;

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
  if (framing_ == framing::end) return progress::more;
  if (framing_ == framing::chunked) return take_chunks(bytes);
  if (bytes.size() > left_) return progress::broken;  // nothing was asked for yet
  left_ -= bytes.size();
  return left_ == 0 ? progress::whole : progress::more;
}

bool answer_reader::read_head(std::string_view head) {
  if (!head.starts_with("HTTP/1.") || head.size() < 14) return false;
  if (std::from_chars(head.data() + 9, head.data() + 12, status_).ec != std::errc{}) return false;
  const std::string connection = find_value(head, "\r\nconnection:");
  keep_alive_ = head[7] == '0' ? connection == "keep-alive" : connection != "close";
  framing_ = framing::sized;
  left_ = 0;
  if (status_ == 204 || status_ == 304) return true;
  if (find_value(head, "\r\ntransfer-encoding:") == "chunked") {
    framing_ = framing::chunked;
    return true;
  }
  const std::string length = find_value(head, "\r\ncontent-length:");
  if (length.empty()) {
    framing_ = framing::end;
    keep_alive_ = false;
    return true;
  }
  const char* end = length.data() + length.size();
  return std::from_chars(length.data(), end, left_).ptr == end;
}

// `left_` is what is left of a chunk with its CRLF; 0 within a line.
answer_reader::progress answer_reader::take_chunks(std::string_view bytes) {
  while (!bytes.empty()) {
    if (left_ > 0) {
      const std::size_t n = std::min<std::uint64_t>(left_, bytes.size());
      left_ -= n;
      bytes.remove_prefix(n);
      continue;
    }
    const std::size_t end = bytes.find('\n');
    line_ += bytes.substr(0, end);
    if (line_.size() > most_head_bytes) return progress::broken;
    if (end == std::string_view::npos) return progress::more;
    bytes.remove_prefix(end + 1);
    const bool is_empty = line_.empty() || line_ == "\r";
    if (in_trailers_ && is_empty) return bytes.empty() ? progress::whole : progress::broken;
    if (!in_trailers_) {
      std::uint64_t size = 0;
      const auto read = std::from_chars(line_.data(), line_.data() + line_.size(), size, 16);
      if (read.ec != std::errc{} || size > most_chunk_bytes) return progress::broken;
      in_trailers_ = size == 0;
      left_ = size == 0 ? 0 : size + 2;
    }
    line_.clear();
  }
  return progress::more;
}

}  // namespace fermata::http
