// SPDX-License-Identifier: MIT
/// Reading and writing a byte stream in the pieces that a program thinks in: lines, exact counts,
/// up to a delimiter.
///
/// Shape:    one operation of a reader, and one of a writer, may be under way at once; another
///           rejects with `contract_error` and disturbs nothing. The stream is not read or written
///           beside them.
/// Pauses:   long inputs are scanned and copied in pieces of 128 KiB with a pause between two.
/// Thread:   loop.
/// Rejects:  what the stream rejects with; `limit_reached`; `unexpected_end`; `cancelled`.
/// Cancel:   immediate; nothing is lost but where it is said. The next operation may begin once the
///           cancelled promise has settled: await it first.
/// Lifetime: the stream outlives its reader and writer. What is under way when these end is
///           rejected with `cancelled` once the stream has let go; so is a `line_sequence`.
#pragma once

#include <fermata/promise/stream.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace fermata {

/// More came than the caller allows; what came can be read still.
class limit_reached : public error {
public:
  using error::error;
};

/// The stream ended within what was to be read; what came can be read still.
class unexpected_end : public error {
public:
  using error::error;
};

namespace detail {
struct read_buffer;
struct write_buffer;
}  // namespace detail

class line_sequence;

/// Reads ahead into a buffer.
///
/// Shape: what an operation does not give stays in the buffer, also when it rejects or is
///        cancelled: the next operation begins at the same byte.
/// Cost:  `buffer_bytes`, made at the first read; more while a longer item is awaited: up to its
///        limit.
class buffered_reader {
public:
  static constexpr std::size_t default_bytes = 16 * 1024;

  /// Throws: `contract_error` where the buffer is to have no bytes.
  explicit buffered_reader(byte_stream& from, std::size_t buffer_bytes = default_bytes);
  buffered_reader(buffered_reader&& other) noexcept = default;
  buffered_reader& operator=(buffered_reader&& other) noexcept {
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~buffered_reader();

  /// What is there, and waits where there is nothing. Gives how many bytes came; 0 at the end.
  promise<std::size_t> read_some(std::span<std::byte> into);
  /// `n` bytes. Rejects: `unexpected_end` (`cannot read from X: the stream ends after 3 of 5
  /// bytes`).
  promise<std::string> read_exactly(std::size_t n);
  /// Fills `into`, past the buffer where that saves a copy. Where it rejects or is cancelled, what
  /// came stands in `into` and counts as given: `given_bytes()` before and after tell how much.
  promise<> read_exactly(std::span<std::byte> into);
  /// What stands before `delimiter`, which is taken too; nothing where the stream has ended.
  /// Rejects: `limit_reached` where it is more than `most_bytes`; `unexpected_end`.
  promise<std::optional<std::string>> read_until(std::string delimiter, std::size_t most_bytes);
  /// The next line without its LF or CR LF; the last one may lack it. Nothing at the end.
  /// Rejects: `limit_reached` (`cannot read from X: a line is longer than 80 bytes`).
  promise<std::optional<std::string>> read_line(std::size_t most_bytes);
  /// All up to the end. Rejects: `limit_reached` where it is more than `most_bytes`.
  promise<std::string> read_all(std::size_t most_bytes);
  /// The lines that come, one after the other.
  [[nodiscard]] line_sequence lines(std::size_t most_bytes);

  /// Waits until `n` bytes are buffered, fewer where the stream ends, and gives all that are.
  /// Lifetime: of the view, until the next operation.
  promise<std::string_view> peek(std::size_t n = 1);
  /// What is buffered, without waiting.
  [[nodiscard]] std::string_view buffered() const noexcept;
  /// Takes what was looked at. Throws: `contract_error` where fewer bytes are buffered or another
  /// operation is under way.
  void consume(std::size_t n);

  /// Taken from the stream and given to the caller.
  [[nodiscard]] std::uint64_t given_bytes() const noexcept;

private:
  std::shared_ptr<detail::read_buffer> buffer_;
};

/// `while (true) { auto line = co_await lines.next(); if (!line) break; ... }`
class line_sequence {
public:
  /// The next line; nothing at the end. Rejects: as `read_line`.
  promise<std::optional<std::string>> next();

private:
  friend class buffered_reader;
  line_sequence(std::shared_ptr<detail::read_buffer> b, std::size_t most) noexcept
      : buffer_(std::move(b)), most_bytes_(most) {}
  std::shared_ptr<detail::read_buffer> buffer_;
  std::size_t most_bytes_;
};

/// Gathers small writes; what does not fit is sent with what is buffered, without a copy.
///
/// Shape:    a write resolves when the bytes are buffered or handed to the stream: so a slow peer
///           holds its writer back. Nothing is sent by itself: `flush` before waiting for an
///           answer, and before the writer ends, else what is buffered is dropped.
/// Cancel:   of a write or flush may leave a part sent; that part has left the buffer too, so the
///           next `flush` goes on behind it.
/// Lifetime: the bytes live until the promise has settled.
class buffered_writer {
public:
  static constexpr std::size_t default_bytes = 16 * 1024;

  /// Throws: `contract_error` where the buffer is to have no bytes.
  explicit buffered_writer(byte_stream& to, std::size_t buffer_bytes = default_bytes);
  buffered_writer(buffered_writer&& other) noexcept = default;
  buffered_writer& operator=(buffered_writer&& other) noexcept {
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~buffered_writer();

  promise<> write(byte_view bytes);
  promise<> write(std::string_view text) { return write(bytes_of(text)); }
  /// The text and a line feed. Lifetime: as `write`.
  promise<> write_line(std::string_view text);
  /// Sends what is buffered.
  promise<> flush();
  /// The same, then ends the stream's write side.
  promise<> finish();

  /// Written and not sent yet.
  [[nodiscard]] std::size_t buffered_bytes() const noexcept;

private:
  std::shared_ptr<detail::write_buffer> buffer_;
};

}  // namespace fermata
