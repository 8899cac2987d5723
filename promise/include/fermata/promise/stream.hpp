// SPDX-License-Identifier: MIT
/// Bytes in both directions, and a pair of streams in memory.
///
/// Shape:    one read and one write may be under way at once; a second one of the same direction
///           rejects with `contract_error` and disturbs nothing.
/// Pauses:   a large write pauses between pieces; that a stream is always ready never holds the
///           thread: the await of each read and write checks the slice.
/// Thread:   loop.
/// Rejects:  `error` with the system's code (`cannot read from 127.0.0.1:8080: ...`); `cancelled`.
/// Cancel:   of a read or write is immediate and leaves the stream usable. The direction is free
///           once the cancelled promise has settled: await it before the next read or write. A
///           cancelled read has taken no bytes; a cancelled write may have sent a part: `counts()`
///           before and after tell how much.
/// Lifetime: the bytes that are read into or written live until the promise has settled. A stream
///           that is destroyed closes: its promises settle with `cancelled`.
#pragma once

#include <fermata/promise/promise.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace fermata {

using byte_view = std::span<const std::byte>;

/// The bytes of a text. Lifetime: the text's.
[[nodiscard]] inline byte_view bytes_of(std::string_view text) noexcept {
  return std::as_bytes(std::span(text));
}

/// What has passed through a stream since it was made.
struct stream_counts {
  std::uint64_t read_bytes = 0;
  std::uint64_t written_bytes = 0;  ///< handed over to the other side's transport
};

class byte_stream {
public:
  byte_stream() noexcept = default;
  byte_stream(const byte_stream&) = delete;
  byte_stream& operator=(const byte_stream&) = delete;
  virtual ~byte_stream() = default;

  /// Reads what is there into `into`, which is not empty, and waits where there is nothing.
  /// Gives how many bytes came; 0 at the end.
  virtual promise<std::size_t> read(std::span<std::byte> into) = 0;
  /// Writes all of `bytes`.
  virtual promise<> write(byte_view bytes) = 0;
  /// Writes all pieces in order, in one system call where that can be.
  /// Lifetime: also the array of pieces lives until the promise has settled.
  virtual promise<> write_pieces(std::span<const byte_view> pieces);
  /// Ends the write side: the peer reads what was written, then the end. Reading goes on.
  virtual promise<> shutdown() = 0;
  /// Closes both sides; what is under way rejects with `cancelled`. What has been written is still
  /// delivered where the transport does so.
  virtual void close() noexcept = 0;
  /// Gives up: as `close`, but the peer sees an error (a reset) where the transport can tell it.
  virtual void cancel() noexcept { close(); }

  [[nodiscard]] virtual stream_counts counts() const noexcept = 0;
  /// Who is at the other end, for messages: `127.0.0.1:4711`, `memory`, `stdout of git`.
  [[nodiscard]] virtual std::string peer() const = 0;
};

/// Two streams in memory, each the other's peer; each direction holds up to `capacity` bytes.
///
/// Shape:  a write waits while the peer has not read; after `shutdown` or `close` the peer reads
///         what is left, then 0. Writing to a closed peer rejects with EPIPE, after its `cancel`
///         reads and writes reject with ECONNRESET.
/// Throws: `contract_error` where the capacity is 0.
[[nodiscard]] std::pair<std::unique_ptr<byte_stream>, std::unique_ptr<byte_stream>>
memory_stream_pair(std::size_t capacity = 64 * 1024);

/// One stream that reads from `in` and writes to `out`.
[[nodiscard]] std::unique_ptr<byte_stream> join_streams(std::unique_ptr<byte_stream> in,
                                                        std::unique_ptr<byte_stream> out);

/// Fills `into`. Rejects: `error` where the stream ends before.
promise<> read_exactly(byte_stream& from, std::span<std::byte> into);

/// Reads up to the end. Rejects: `error` where more than `most_bytes` come.
promise<std::string> read_to_end(byte_stream& from, std::size_t most_bytes);

/// Writes a text that it keeps alive itself.
promise<> write_text(byte_stream& to, std::string text);

namespace detail {

/// The most that one step of a read or write moves.
inline constexpr std::size_t stream_piece_bytes = 128 * 1024;

/// What moving `n` bytes may take: a system call, and a copy at 4 GB/s.
[[nodiscard]] constexpr std::chrono::nanoseconds stream_cost(std::size_t n) noexcept {
  return std::chrono::nanoseconds(1000 + n / 4);
}

/// Marks a direction as under way while it lives.
class direction_guard {
public:
  /// Throws: `contract_error` where it is under way already.
  direction_guard(bool& busy, const char* message) : busy_(busy) {
    if (busy_) throw contract_error(message);
    busy_ = true;
  }
  direction_guard(const direction_guard&) = delete;
  direction_guard& operator=(const direction_guard&) = delete;
  ~direction_guard() { busy_ = false; }

private:
  bool& busy_;
};

inline constexpr const char* two_reads = "two reads are under way on one stream";
inline constexpr const char* two_writes = "two writes are under way on one stream";

}  // namespace detail

}  // namespace fermata
