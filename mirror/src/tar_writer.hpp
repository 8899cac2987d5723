// SPDX-License-Identifier: MIT
// libarchive as a writer of tar bytes into memory, with everything fixed that could differ.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct archive;
struct archive_entry;

namespace fermata::mirror {

/// Shape: `begin`, `data` of exactly the size told, `end`, for each file; `close` once. What each
///        call produced is appended to `pending()`, from which the owner consumes.
/// Cost:  a header is about 3 us; `data` copies.
class tar_writer {
public:
  explicit tar_writer(std::int64_t entry_time);

  void begin(std::string_view path, bool executable, std::uint64_t size_bytes);
  void data(std::string_view bytes);
  void end();
  void close();  ///< appends the two zero blocks

  [[nodiscard]] std::string_view pending() const noexcept { return sink_->bytes; }
  void consume(std::size_t bytes) noexcept;

private:
  struct sink {
    std::string bytes;  // known to libarchive by address
  };
  struct frees {
    void operator()(archive* a) const noexcept;
    void operator()(archive_entry* e) const noexcept;
  };
  static ssize_t write(archive*, void* to, const void* bytes, std::size_t n);
  [[noreturn]] void fail(std::string_view what, std::string_view path);

  std::int64_t entry_time_;
  std::string path_;  // of the entry being written, for messages
  std::unique_ptr<sink> sink_ = std::make_unique<sink>();
  std::unique_ptr<archive, frees> archive_;  // after sink_: it writes there while it is freed
  std::unique_ptr<archive_entry, frees> entry_;
};

}  // namespace fermata::mirror
