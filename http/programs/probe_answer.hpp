// SPDX-License-Identifier: MIT
// Answers as the probe reads them: no more of HTTP than its measurement needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fermata::http {

/// Reads one answer after another: the status, then a body of a told length, in chunks, or up to
/// the end of the connection.
class answer_reader {
public:
  enum class progress { more, whole, broken };

  progress take(std::string_view bytes);
  void begin() {
    head_.clear();
    line_.clear();
    in_body_ = in_trailers_ = false;
  }
  /// The connection has ended; whether that is the end of the answer.
  [[nodiscard]] bool ends_with_connection() const { return in_body_ && framing_ == framing::end; }
  [[nodiscard]] bool has_begun() const { return !head_.empty(); }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }

private:
  enum class framing { sized, chunked, end };
  bool read_head(std::string_view head);
  progress take_chunks(std::string_view bytes);

  std::string head_;
  std::string line_;  // of a chunk's size or a trailer, as far as it has come
  framing framing_ = framing::sized;
  std::uint64_t left_ = 0;
  int status_ = 0;
  bool in_body_ = false;
  bool in_trailers_ = false;
  bool keep_alive_ = true;
};

}  // namespace fermata::http
