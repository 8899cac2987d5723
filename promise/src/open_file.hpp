// SPDX-License-Identifier: MIT
// A descriptor of a file, and the calls that workers make with it.
#pragma once

#include <fermata/loop/unique_function.hpp>
#include <fermata/promise/file.hpp>
#include <fermata/promise/unique_fd.hpp>

#include <sys/stat.h>

#include <stop_token>
#include <string>
#include <string_view>

namespace fermata::detail {

// Destroys `last`, whose captures do the work, on the pool of this thread's loop; here where this
// is no loop's thread (a worker) or the loop ends. The pool destroys also what it drops.
void end_elsewhere(unique_function<void()> last) noexcept;

struct open_file {
  open_file(unique_fd f, std::string name, bool at_end) noexcept
      : fd(std::move(f)), path(std::move(name)), appends(at_end) {}
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  ~open_file();

  unique_fd fd;
  std::string path;
  bool appends;
};

// From errno: `cannot <what> <path>: ...`.
[[nodiscard]] error path_error(std::string_view what, std::string_view path);
// The same where a call has given -1.
void check_call(int result, std::string_view what, std::string_view path);

// Thread: any, for all that follows.
inline constexpr std::size_t file_piece_bytes = 1024 * 1024;

// Reads until `into` is full, the file ends or a stop is requested.
[[nodiscard]] std::size_t read_from(const std::stop_token& stop,
                                    int fd,
                                    std::string_view path,
                                    std::uint64_t offset,
                                    std::span<std::byte> into);
// Writes all, or what was written when a stop was requested; `done` says it, also where it throws.
void write_to(const std::stop_token& stop,
              int fd,
              std::string_view path,
              std::uint64_t offset,
              byte_view bytes,
              std::uint64_t& done);

[[nodiscard]] file_status status_of(const struct stat& s) noexcept;

}  // namespace fermata::detail
