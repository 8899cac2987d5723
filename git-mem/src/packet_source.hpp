// SPDX-License-Identifier: MIT
// Packets of a stream, with limits of time: what both directions of the protocol read from.

#pragma once

#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/promise.hpp>
#include <fermata/promise/stream.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fermata::git_mem::detail {

// Packets that `packets` gives die at the next fill.
struct packet_source {
  packet_source(byte_stream& s, const clone_options& o) : stream(s), options(o) {}

  byte_stream& stream;
  const clone_options& options;
  pkt_reader packets;
  std::vector<std::byte> buffer = std::vector<std::byte>(pack_piece_bytes);
  bool has_heard = false;                  // anything at all
  std::chrono::nanoseconds rate_waited{};  // for bytes, in the present window
  std::uint64_t rate_received = 0;
};

// More bytes for the packets; false at the end of the stream. Lifetime: `s` outlives the promise.
promise<bool> fill(packet_source& s);

// Writes a request. Rejects: `failure` where the other side takes nothing for `idle_timeout`.
promise<> send_text(packet_source& s, std::string text);

// Pushes packets into a reader of one message until it is over.
template <typename Reader>
promise<> read_message(packet_source& s, Reader& reader, std::string when) {
  for (;;) {
    while (const std::optional<pkt> p = s.packets.next()) {
      if (reader.push(*p)) co_return;
      co_await maybe_pause();
    }
    const bool more = co_await fill(s);
    if (!more) throw failure(reason::protocol, "the server hung up " + when);
  }
}

}  // namespace fermata::git_mem::detail
