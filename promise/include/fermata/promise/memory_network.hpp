// SPDX-License-Identifier: MIT
/// A network in memory: who connects to a name gets a stream to who listens there. For tests.
///
/// Shape:    as TCP without addresses: a connection is made once it has a place in the backlog,
///           before it is accepted; the streams are as `memory_stream_pair` gives them.
/// Pauses:   never for long; accepting and connecting wait as any promise.
/// Thread:   loop.
/// Cancel:   immediate; a cancelled accept loses no connection, a cancelled connect makes none.
/// Lifetime: listeners and streams may outlive the network.
#pragma once

#include <fermata/promise/stream.hpp>

#include <cstddef>
#include <memory>
#include <string>

namespace fermata {

namespace detail {
struct memory_port;
struct memory_ports;
}  // namespace detail

/// Accepts the connections to a name. One that was moved from throws `contract_error`.
class memory_listener {
public:
  explicit memory_listener(std::shared_ptr<detail::memory_port> port) noexcept;
  memory_listener(memory_listener&& other) noexcept = default;
  memory_listener& operator=(memory_listener&& other) noexcept;
  ~memory_listener();

  [[nodiscard]] const std::string& name() const;
  /// The next connection. One accept may be under way at once.
  /// Rejects: `contract_error` for a second one; `cancelled` where the listener is closed.
  promise<std::unique_ptr<byte_stream>> accept();
  /// Gives the name back; connections in the backlog are reset, those that wait are refused.
  void close() noexcept;

private:
  [[nodiscard]] const std::shared_ptr<detail::memory_port>& port() const;
  std::shared_ptr<detail::memory_port> port_;
};

class memory_network {
public:
  static constexpr std::size_t default_capacity = 64 * 1024;
  /// Each direction of a stream holds up to `stream_capacity` bytes.
  explicit memory_network(std::size_t stream_capacity = default_capacity);

  /// Throws: `error` (`cannot listen on NAME in memory: address already in use (uv EADDRINUSE)`),
  ///         `contract_error` where the backlog is 0.
  [[nodiscard]] memory_listener listen(std::string name, std::size_t backlog = 1024);
  /// Waits while the backlog is full.
  /// Rejects: `error` (`cannot connect to NAME in memory: connection refused (uv ECONNREFUSED)`).
  promise<std::unique_ptr<byte_stream>> connect(std::string name);

private:
  std::shared_ptr<detail::memory_ports> ports_;
};

}  // namespace fermata
