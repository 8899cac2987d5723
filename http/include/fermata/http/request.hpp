// SPDX-License-Identifier: MIT
/// One request as the server hands it to a handler.
///
/// Shape:    everything was checked by `request_parser`: names are tokens, values hold no control
///           characters, the path is decoded and has no dot segments.
/// Pauses:   never.
/// Thread:   the owner's.
/// Lifetime: views point into the request and end with it or with its next use by the parser.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::http {

class incoming_body;
namespace detail {
struct request_access;
}

enum class http_version : std::uint8_t { v1_0, v1_1 };

struct header_view {
  std::string_view name;
  std::string_view value;
};

class request {
public:
  request() = default;

  [[nodiscard]] std::string_view method() const noexcept { return at(method_); }
  [[nodiscard]] bool is_head() const noexcept { return method() == "HEAD"; }
  /// The target as it was sent.
  [[nodiscard]] std::string_view target() const noexcept { return at(target_); }
  /// The decoded path: begins with `/`, repeated slashes are one, no `.` or `..` segment, no NUL
  /// or other control character. `*` for `OPTIONS *`.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// What follows the `?`, not decoded; empty where there is none.
  [[nodiscard]] std::string_view query() const noexcept { return at(query_); }
  /// Host and port: of an absolute target, else the Host field; empty where neither was sent.
  [[nodiscard]] std::string_view authority() const noexcept { return at(authority_); }
  [[nodiscard]] http_version version() const noexcept { return version_; }
  /// Whether the client lets the connection go on after this request.
  [[nodiscard]] bool keep_alive() const noexcept { return keep_alive_; }
  /// Whether the client waits for `100 Continue` before it sends the body.
  [[nodiscard]] bool expects_continue() const noexcept { return expects_continue_; }
  [[nodiscard]] bool is_chunked() const noexcept { return chunked_; }
  /// The declared length; none for a chunked body or no body.
  [[nodiscard]] std::optional<std::uint64_t> content_length() const noexcept { return length_; }
  [[nodiscard]] bool has_body() const noexcept { return chunked_ || length_.value_or(0) > 0; }
  /// The body, where the owner has collected it (the server does, up to its limit).
  [[nodiscard]] const std::string& body() const noexcept { return body_; }
  /// What gives the body as it comes, where the owner does not collect it (incoming_body.hpp).
  [[nodiscard]] incoming_body* incoming() const noexcept { return incoming_; }

  [[nodiscard]] std::size_t header_count() const noexcept { return headers_.size(); }
  /// Fields in the order they were sent; `index` < `header_count()`.
  [[nodiscard]] header_view header(std::size_t index) const noexcept {
    return {at(headers_[index].name), at(headers_[index].value)};
  }
  /// The first field of this name in any case, trimmed.
  [[nodiscard]] std::optional<std::string_view> find_header(std::string_view name) const noexcept;
  /// The last one: a proxy may add a line of its own behind those that its client has sent.
  [[nodiscard]] std::optional<std::string_view> find_last_header(
      std::string_view name) const noexcept;
  /// How many fields have this name.
  [[nodiscard]] std::size_t count_headers(std::string_view name) const noexcept;

private:
  friend struct detail::request_access;

  struct piece {  // of block_: survives moves, unlike a view into a short string
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
  };
  struct header_piece {
    piece name;
    piece value;
  };
  [[nodiscard]] std::string_view at(piece p) const noexcept {
    return std::string_view(block_).substr(p.offset, p.size);
  }

  std::string block_;  // the head as it was received
  std::string path_;
  std::string body_;
  std::vector<header_piece> headers_;
  incoming_body* incoming_ = nullptr;
  std::optional<std::uint64_t> length_;
  piece method_;
  piece target_;
  piece query_;
  piece authority_;
  http_version version_ = http_version::v1_1;
  bool keep_alive_ = false;
  bool expects_continue_ = false;
  bool chunked_ = false;
};

}  // namespace fermata::http
