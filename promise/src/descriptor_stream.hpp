// SPDX-License-Identifier: MIT
// A byte stream over a non-blocking descriptor of our own: sockets, pipes, terminals.
#pragma once

#include <fermata/loop/io_watch.hpp>
#include <fermata/promise/stream.hpp>
#include <fermata/promise/unique_fd.hpp>

#include <memory>
#include <string>

namespace fermata::detail {

using fermata::unique_fd;

// What is known of a descriptor: of a TCP connection a read that gives a part has taken all there
// was. A local socket ends one at the borders of messages too, a terminal at the end of a line.
enum class descriptor_kind : std::uint8_t { tcp, socket, other };

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

// What is under a stream that is a socket's; else null.
[[nodiscard]] std::shared_ptr<descriptor> socket_of(byte_stream& s) noexcept;

// write(2) that raises no SIGPIPE. Gives what write gives.
[[nodiscard]] ssize_t write_quietly(int fd, const void* bytes, std::size_t n) noexcept;

}  // namespace fermata::detail
