// SPDX-License-Identifier: MIT
#include "open_files.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace fermata::mirror {
namespace {

// Archives that are kept open to be sent, downloads with a file each, connections that are being
// refused, pipes of git, a log.
constexpr std::uint64_t most_other_files = 832;

}  // namespace

std::uint64_t raise_file_limit() noexcept {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return 0;
  const rlimit raised{files.rlim_max, files.rlim_max};
  if (files.rlim_cur < files.rlim_max && ::setrlimit(RLIMIT_NOFILE, &raised) == 0) files = raised;
  return files.rlim_cur;
}

std::uint32_t connections_within(std::uint64_t limit, std::uint32_t wanted) noexcept {
  if (limit == 0) return wanted;
  const std::uint64_t room = limit - std::min(limit / 2, most_other_files);
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(room, 1, wanted));
}

}  // namespace fermata::mirror
