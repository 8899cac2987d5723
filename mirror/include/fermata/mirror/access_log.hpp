// SPDX-License-Identifier: MIT
/// The access log: one line a request in the combined format of Apache and nginx, with the time
/// that the answer took, in seconds, behind it.
///
/// Shape:  lines wait in memory and are written together; what a full disk or a reader who does not
///         read would make wait for ever is dropped and counted. After `reopen` lines go to a new
///         file under the old name, as logrotate wants it.
/// Pauses: never; `flush` writes up to 64 KiB, which a slow disk makes wait: run it by `detach`.
/// Thread: any.
#pragma once

#include <fermata/http/server.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

namespace fermata::mirror {

/// `127.0.0.1 - - [27/Nov/2026:19:50:00 +0000] "GET / HTTP/1.1" 200 12 "-" "opam/2.1.2" 0.000123`.
[[nodiscard]] std::string access_line(const http::answered_request& what,
                                      std::chrono::sys_seconds when);

class access_log {
public:
  static constexpr std::size_t most_waiting_bytes = std::size_t{1} << 20;

  /// `path` `-` is standard output. Throws: `error` where the file cannot be opened.
  explicit access_log(std::string path);
  access_log(const access_log&) = delete;
  access_log& operator=(const access_log&) = delete;
  ~access_log();

  void add(const http::answered_request& what);
  /// Writes some of what waits; true while there is more. Throws: `error`; what waits is kept.
  bool flush();
  /// Opens the file anew. Throws: `error`; the old one is then still written to.
  void reopen();
  [[nodiscard]] std::uint64_t dropped() const;

private:
  std::string path_;
  mutable std::mutex lock_;  // of waiting_ and dropped_
  std::string waiting_;
  std::uint64_t dropped_ = 0;
  std::mutex file_lock_;  // of file_: held while it is written to
  int file_ = -1;
};

}  // namespace fermata::mirror
