// SPDX-License-Identifier: MIT
/// Text to standard output and standard error that never holds the loop.
///
/// Shape:  a reader who does not read makes text wait, up to a limit; what is over is dropped.
/// Pauses: never.
/// Thread: loop.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fermata::mirror {

/// One descriptor; `flush` is called now and then while `is_waiting`.
class console {
public:
  static constexpr std::size_t most_waiting_bytes = 64 * 1024;

  explicit console(int fd) : fd_(fd) {}

  void write(std::string_view text);
  void flush() noexcept;
  [[nodiscard]] bool is_waiting() const noexcept { return !waiting_.empty(); }
  /// Its width in columns; 0 where it is no terminal.
  [[nodiscard]] std::size_t terminal_width() const noexcept;

private:
  int fd_;
  std::string waiting_;
};

}  // namespace fermata::mirror
