// SPDX-License-Identifier: MIT
// A file that is whole or absent: written beside, checksummed, synced, renamed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace fermata::mirror {

struct frees_digest {
  void operator()(evp_md_ctx_st* c) const noexcept;
};
using digest = std::unique_ptr<evp_md_ctx_st, frees_digest>;

/// Shape: `write` what stands before the checksum, `begin_digest`, `write` the rest, `commit`. A
///        writer that is destroyed before leaves no file.
class saved_file_writer {
public:
  explicit saved_file_writer(std::string path);
  ~saved_file_writer();
  saved_file_writer(const saved_file_writer&) = delete;
  saved_file_writer& operator=(const saved_file_writer&) = delete;

  void write(std::string_view bytes);
  void begin_digest();
  /// Syncs the file and renames it to `target`, and syncs the folder.
  void commit(const std::string& target);

private:
  [[noreturn]] void fail(std::string_view what) const;
  void write_at(std::string_view bytes, std::uint64_t offset);

  std::string path_;
  int file_ = -1;
  std::uint64_t size_ = 0;
  std::uint64_t digest_offset_ = 0;
  digest digest_;
};

class saved_file_reader {
public:
  explicit saved_file_reader(std::string path);
  ~saved_file_reader();
  saved_file_reader(const saved_file_reader&) = delete;
  saved_file_reader& operator=(const saved_file_reader&) = delete;

  [[nodiscard]] bool exists() const noexcept { return file_ >= 0; }
  /// Up to `n` bytes, fewer at the end.
  [[nodiscard]] std::string text(std::size_t n);
  /// Up to and without the next line feed, at most `most` bytes.
  [[nodiscard]] std::string line(std::size_t most);
  /// Exactly `n` bytes; false if there are not so many.
  [[nodiscard]] bool read(char* to, std::size_t n);
  /// Reads over the line with the checksum of all that is behind it. Gives what is wrong with
  /// that; nothing where it fits.
  [[nodiscard]] std::string checksum_fault();
  [[nodiscard]] bool at_end();

private:
  std::size_t read_some(char* to, std::size_t n);
  [[nodiscard]] std::string digest_of_rest();  // in hex

  std::string path_;
  int file_ = -1;
  std::uint64_t at_ = 0;
};

}  // namespace fermata::mirror
