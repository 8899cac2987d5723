// SPDX-License-Identifier: MIT
// A byte stream over a non-blocking descriptor of our own: sockets, pipes, terminals.
#pragma once

#include <fermata/loop/io_watch.hpp>
#include <fermata/promise/stream.hpp>

#include <memory>
#include <string>

namespace fermata::detail {

// A descriptor that is closed with its owner.
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
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept;

private:
  int fd_ = -1;
};

enum class descriptor_kind : std::uint8_t { socket, other };

// What a stream shares with its reads and writes that are under way.
struct descriptor final : private loop_resident {
  descriptor(unique_fd fd, descriptor_kind k, std::string name);
  void loop_ends() noexcept override;

  io_watch watch;
  std::string peer;
  descriptor_kind kind;
  bool reads = false;
  bool writes = false;
  bool loop_has_ended = false;
  bool write_side_ended = false;
  stream_counts counts;
};

[[nodiscard]] std::unique_ptr<byte_stream> stream_over(std::shared_ptr<descriptor> d);
[[nodiscard]] std::unique_ptr<byte_stream> socket_stream(unique_fd fd, std::string peer);

// write(2) that raises no SIGPIPE. Gives what write gives.
[[nodiscard]] ssize_t write_quietly(int fd, const void* bytes, std::size_t n) noexcept;

}  // namespace fermata::detail
