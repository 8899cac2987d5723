// SPDX-License-Identifier: MIT
/// Files that never block the loop: every call to the file system runs on the pool.
///
/// Shape:    read and written at positions, by several at once. `stream_of` makes a byte_stream.
/// Pauses:   until the call has ended on the pool.
/// Thread:   loop.
/// Rejects:  `error` that names the operation and the path (`cannot open /etc/x: no such file or
///           directory (uv ENOENT)`); `cancelled`; `loop_closed`.
/// Cancel:   what has not started is taken out of the queue; what runs stops at the next MiB, and
///           the promise settles then: until it has, the bytes are in use. No descriptor is lost.
/// Cost:     that of `detach`: about 20 us beside the work itself.
/// Lifetime: the bytes that are read into or written live until the promise has settled. A file
///           may end before; it is closed on the pool, after what is under way.
#pragma once

#include <fermata/promise/stream.hpp>

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace fermata {

/// How a file is opened.
struct open_options {
  open_options() {}  // no aggregate: see STYLE.md, coroutines under g++ 12
  bool read = true;
  bool write = false;
  bool append = false;      ///< every write goes to the end; needs `write`
  bool create = false;      ///< where it does not exist
  bool create_new = false;  ///< and must not exist
  bool truncate = false;
  unsigned mode = 0666;  ///< of a file that is created, before the umask

  [[nodiscard]] static open_options for_reading() { return {}; }
  /// Creates or empties the file.
  [[nodiscard]] static open_options for_writing();
  /// Reads and writes what is there, and creates the file.
  [[nodiscard]] static open_options for_update();
  [[nodiscard]] static open_options for_appending();
};

enum class file_type : std::uint8_t { regular, directory, symlink, other };

struct file_status {
  file_type type = file_type::other;
  std::uint64_t size = 0;
  unsigned mode = 0;  ///< permissions
  uid_t owner = 0;
  gid_t group = 0;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::chrono::system_clock::time_point modified;
};

namespace detail {
struct open_file;
}

class file {
public:
  /// No file: every operation rejects with `contract_error`.
  file() noexcept = default;
  file(file&&) noexcept = default;
  file& operator=(file&&) noexcept = default;

  [[nodiscard]] explicit operator bool() const noexcept { return open_ != nullptr; }
  [[nodiscard]] const std::string& path() const;

  /// Fills `into` from `offset` on; gives how many bytes came: fewer at the end of the file only.
  promise<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) const;
  /// Writes all of `bytes`. Where it rejects or is cancelled a part may have been written.
  promise<> write_at(std::uint64_t offset, byte_view bytes) const;
  /// The same at the end, wherever that is by then. Only where opened with `append`.
  promise<> append(byte_view bytes) const;
  /// Resolves when the content and all that is known about the file are on disk (fsync).
  promise<> sync() const;
  /// The content, and what is needed to read it (fdatasync).
  promise<> sync_data() const;
  promise<std::uint64_t> size() const;
  promise<> truncate(std::uint64_t size) const;
  promise<file_status> status() const;
  /// Lets go of the file and resolves when it is closed, with what close(2) says; operations that
  /// are under way end first.
  promise<> close();

private:
  friend promise<file> open_file(std::string path, open_options options);
  friend std::unique_ptr<byte_stream> stream_of(file f, std::uint64_t offset);
  friend class temp_file;
  explicit file(std::shared_ptr<detail::open_file> f) noexcept : open_(std::move(f)) {}
  std::shared_ptr<detail::open_file> open_;
};

/// Opens a file; a FIFO does not wait for its other end.
promise<file> open_file(std::string path, open_options options = open_options::for_reading());

/// Reads from `offset` on, and writes from there on (or to the end, where opened with `append`):
/// each direction has a position of its own.
///
/// Shape:  as stream.hpp says, but for the cancel: see above. Each read or write is one job, so
///         give it large pieces, or a `buffered_reader` with a large buffer.
/// Throws: `contract_error` where there is no file.
[[nodiscard]] std::unique_ptr<byte_stream> stream_of(file f, std::uint64_t offset = 0);

}  // namespace fermata
