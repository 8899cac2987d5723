// SPDX-License-Identifier: MIT
/// A descriptor that is closed with its owner.
///
/// Thread: any, one at a time.
/// Cost:   the destructor is one close(2): hand descriptors of files to `file`, which closes
///         elsewhere.
#pragma once

#include <utility>

namespace fermata {

class unique_fd {
public:
  unique_fd() noexcept = default;
  explicit unique_fd(int fd) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~unique_fd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Gives the descriptor away.
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept;

private:
  int fd_ = -1;
};

}  // namespace fermata
