// SPDX-License-Identifier: MIT
// The one call that a descriptor's owner makes.

#include <fermata/promise/unique_fd.hpp>

#include <unistd.h>

namespace fermata {

void unique_fd::reset(int fd) noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

}  // namespace fermata
