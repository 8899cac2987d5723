// SPDX-License-Identifier: MIT
// Answers as the probe reads them: no more of HTTP than its measurement needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fermata::http {

/// Reads one answer after another: the status, then as many bytes as Content-Length says.
class answer_reader {
public:
  enum class progress { more, whole, broken };

  progress take(std::string_view bytes);
  void begin() {
    head_.clear();
    in_body_ = false;
  }
  [[nodiscard]] bool has_begun() const { return !head_.empty(); }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }

private:
  bool read_head(std::string_view head);

  std::string head_;
  std::uint64_t left_ = 0;
  int status_ = 0;
  bool in_body_ = false;
  bool keep_alive_ = true;
};

}  // namespace fermata::http
