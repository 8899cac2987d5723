// SPDX-License-Identifier: MIT
// A byte stream over a non-blocking descriptor of our own: sockets, pipes, terminals.
#pragma once

#include <fermata/loop/io_watch.hpp>
#include <fermata/promise/stream.hpp>
#include <fermata/promise/unique_fd.hpp>

#include <csignal>
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

// Around one call that may raise SIGPIPE: blocks the signal on this thread, and takes the one that
// the call raised. Leaves errno as it is.
class quiet_pipe {
public:
  quiet_pipe() noexcept;
  quiet_pipe(const quiet_pipe&) = delete;
  quiet_pipe& operator=(const quiet_pipe&) = delete;
  ~quiet_pipe();

private:
  sigset_t pipe_only_;
  sigset_t before_;
  bool was_pending_;
};

}  // namespace fermata::detail
