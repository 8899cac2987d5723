// SPDX-License-Identifier: MIT
/// Files as bodies of responses: large ones go to the socket without passing through the program.
///
/// Shape:    `served_file::open(path)` or, for what is asked for again and again, a `file_cache`;
///           then `serve(request, representation, file, now)` answers with it or a part of it.
/// Bounds:   a cache holds as many descriptors as it was told, and those that are being sent.
/// Pauses:   until a file has been opened.
/// Thread:   loop; files are opened and closed on the pool.
/// Rejects:  `error` (`cannot open /x: no such file or directory (uv ENOENT)`), or is no file.
/// Lifetime: a file that is replaced (renamed over) is sent as it was; one that is cut short while
///           it is sent cuts the connection, so that no client takes the part for the whole.
#pragma once

#include <fermata/http/response.hpp>
#include <fermata/promise/promise.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace fermata::http {

/// An open file; copies share it.
class served_file {
public:
  served_file() noexcept = default;
  static promise<served_file> open(std::string path);

  [[nodiscard]] explicit operator bool() const noexcept { return open_ != nullptr; }
  /// `size` bytes from `first` on, as a response has them.
  [[nodiscard]] file_part part(std::uint64_t first, std::uint64_t size) const;
  [[nodiscard]] std::uint64_t size() const noexcept;
  [[nodiscard]] std::chrono::sys_seconds modified() const noexcept;
  /// Size, time and inode as an entity tag: another one where the file was changed or replaced.
  [[nodiscard]] const std::string& etag() const noexcept;
  /// What there is to serve, as `evaluate` wants it.
  [[nodiscard]] representation describe(std::string_view type) const;

private:
  friend class file_cache;
  struct opened;
  explicit served_file(std::shared_ptr<const opened> o) noexcept : open_(std::move(o)) {}
  std::shared_ptr<const opened> open_;
};

/// Answers a GET or HEAD with `file`, as `serve` of response.hpp does with bytes.
[[nodiscard]] response serve(const request& r,
                             const representation& what,
                             const served_file& file,
                             std::chrono::sys_seconds now);

struct file_cache_options {
  file_cache_options() {}  // no aggregate: see STYLE.md, coroutines under g++ 12
  std::size_t most_files = 256;
  /// How long a file is taken for what it was; after that it is opened anew.
  std::chrono::nanoseconds trusted_for = std::chrono::seconds(1);
};

/// Keeps files open that are asked for again; the one that was not asked for longest goes first.
class file_cache {
public:
  explicit file_cache(file_cache_options options = {}) : options_(options) {}
  promise<served_file> open(std::string path);
  /// Forgets a file, for one who has replaced it.
  void forget(const std::string& path);
  [[nodiscard]] std::size_t size() const noexcept { return core_->by_path.size(); }

private:
  struct entry {
    std::string path;
    served_file file;
    time_point opened;
  };
  struct core {
    std::list<entry> entries;  // the last one asked for first
    std::map<std::string, std::list<entry>::iterator, std::less<>> by_path;
  };
  static promise<served_file> open_anew(std::shared_ptr<core> c,
                                        std::string path,
                                        std::size_t most);
  static void forget(core& c, const std::string& path);

  file_cache_options options_;
  std::shared_ptr<core> core_ = std::make_shared<core>();  // shared with files being opened
};

}  // namespace fermata::http
