// SPDX-License-Identifier: MIT
/// Sockets of this machine: streams between processes that can also pass descriptors.
///
/// Shape:  a path of a file, or `@name` in the abstract namespace. Streams are as stream.hpp says.
/// Pauses: until there is a connection, or bytes; where they are there it checks the slice.
/// Thread: loop, also for names in the file system: tens of microseconds where that is local.
/// Cancel: immediate; no connection, byte or descriptor is lost.
#pragma once

#include <fermata/promise/stream.hpp>
#include <fermata/promise/unique_fd.hpp>

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fermata {

namespace detail {
struct watched_socket;
}

/// Who is at the other end, as the system knows it from when the connection was made.
struct peer_credentials {
  pid_t process = 0;
  uid_t user = 0;
  gid_t group = 0;
};

/// What has come with descriptors.
struct passed_bytes {
  passed_bytes() noexcept = default;
  passed_bytes(passed_bytes&&) noexcept = default;  // a vector claims that it can be copied
  passed_bytes& operator=(passed_bytes&&) noexcept = default;
  std::size_t bytes = 0;  ///< 0 at the end
  std::vector<unique_fd> descriptors;
  /// Whether more descriptors came than were asked for or could be opened; those are closed.
  bool has_lost_descriptors = false;
};

class unix_stream final : public byte_stream {
public:
  /// The most that one `send` passes; the system's limit.
  static constexpr std::size_t most_descriptors = 253;

  /// Takes a connected socket, which becomes non-blocking. `name` stands in messages.
  /// Throws: `error` where it cannot be waited for; it is then closed.
  unix_stream(unique_fd socket, std::string name);
  ~unix_stream() override { close(); }

  /// Descriptors that come with what is read are closed.
  promise<std::size_t> read(std::span<std::byte> into) override;
  promise<> write(byte_view bytes) override;
  promise<> write_pieces(std::span<const byte_view> pieces) override;
  promise<> shutdown() override;
  void close() noexcept override;
  [[nodiscard]] stream_counts counts() const noexcept override;
  [[nodiscard]] std::string peer() const override;

  /// Writes `bytes`, which are not empty, and passes copies of `descriptors` with the first of
  /// them. Rejects: `contract_error` where there are too many.
  /// Lifetime: bytes and descriptors live until the promise has settled, then they are the
  ///           caller's still.
  promise<> send(byte_view bytes, std::span<const int> descriptors);
  /// Reads as `read`, and takes up to `most` descriptors that came with these bytes; they are
  /// closed on exec.
  promise<passed_bytes> receive(std::span<std::byte> into, std::size_t most);
  /// Throws: `error` where the stream is closed.
  [[nodiscard]] peer_credentials credentials() const;

private:
  std::shared_ptr<detail::watched_socket> socket_;
};

/// Two connected streams.
[[nodiscard]] std::pair<std::unique_ptr<unix_stream>, std::unique_ptr<unix_stream>>
unix_stream_pair();

struct unix_listen_options {
  unix_listen_options() {}  // no aggregate: safe as a default argument under g++ 12
  int backlog = 1024;
  /// Takes over the path of a socket that nobody listens at any more.
  bool replaces_stale = false;
};

class unix_listener {
public:
  /// Throws: `error` (`cannot listen on /run/x.sock: address already in use (uv EADDRINUSE)`).
  explicit unix_listener(std::string_view path, const unix_listen_options& options = {});
  unix_listener(unix_listener&& other) noexcept = default;
  unix_listener& operator=(unix_listener&& other) noexcept {
    std::swap(socket_, other.socket_);
    std::swap(file_, other.file_);
    return *this;
  }
  ~unix_listener() { close(); }

  /// The next connection; one accept may be under way at once.
  /// Rejects: `error`; after EMFILE and the like the connection waits for the next try.
  ///          `cancelled` where the listener is closed.
  promise<std::unique_ptr<unix_stream>> accept();
  /// Stops listening and removes the file, unless another has taken its name.
  void close() noexcept;

private:
  struct socket_file {
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;
  };
  std::shared_ptr<detail::watched_socket> socket_;
  socket_file file_;  // no path: abstract
};

/// Connects; where the listener's backlog is full it waits for room, up to `timeout`.
///
/// Rejects: `error` (`cannot connect to /run/x.sock: connection refused (uv ECONNREFUSED)`).
promise<std::unique_ptr<unix_stream>> unix_connect(
    std::string path, std::chrono::nanoseconds timeout = std::chrono::seconds(10));

}  // namespace fermata
