// SPDX-License-Identifier: MIT
// The way in for the parser, which alone fills a request.
#pragma once

#include <fermata/http/request.hpp>

#include <string_view>

namespace fermata::http::detail {

struct request_access {
  using piece = request::piece;

  /// Forgets the last request and keeps its memory, up to what a usual request needs.
  static void begin(request& r, std::string_view block) {
    if (r.body_.capacity() > 64 * 1024) r.body_ = std::string();
    r.body_.clear();
    r.path_.clear();
    r.headers_.clear();
    r.length_.reset();
    r.incoming_ = nullptr;
    r.method_ = r.target_ = r.query_ = r.authority_ = piece{};
    r.keep_alive_ = r.expects_continue_ = r.chunked_ = false;
    r.block_.assign(block);
  }
  static std::string_view block(const request& r) noexcept { return r.block_; }

  /// `part` is a view into the block.
  static piece locate(const request& r, std::string_view part) noexcept {
    return {static_cast<std::uint32_t>(part.data() - r.block_.data()),
            static_cast<std::uint32_t>(part.size())};
  }
  static void set_method(request& r, std::string_view v) { r.method_ = locate(r, v); }
  static void set_target(request& r, std::string_view v) { r.target_ = locate(r, v); }
  static void set_query(request& r, std::string_view v) { r.query_ = locate(r, v); }
  static void set_authority(request& r, std::string_view v) { r.authority_ = locate(r, v); }
  static void set_version(request& r, http_version v) { r.version_ = v; }
  static void set_keep_alive(request& r, bool v) { r.keep_alive_ = v; }
  static void set_expects_continue(request& r) { r.expects_continue_ = true; }
  static void set_chunked(request& r) { r.chunked_ = true; }
  static void set_length(request& r, std::uint64_t v) { r.length_ = v; }
  static void add_header(request& r, std::string_view name, std::string_view value) {
    r.headers_.push_back({locate(r, name), locate(r, value)});
  }
  static void set_incoming(request& r, incoming_body* b) { r.incoming_ = b; }
  static std::string& path(request& r) { return r.path_; }
  static std::string& body(request& r) { return r.body_; }
};

}  // namespace fermata::http::detail
