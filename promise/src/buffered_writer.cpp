// SPDX-License-Identifier: MIT
// The writing half of buffered streams.
//
// Invariant: bytes leave the buffer exactly when the stream has counted them as written, also
// where a write fails or is cancelled half way.

#include <fermata/promise/buffered.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <array>
#include <cstring>

namespace fermata {

namespace detail {

struct write_buffer {
  write_buffer(byte_stream& to, std::size_t n) noexcept : stream(&to), capacity(n) {}

  [[nodiscard]] std::size_t room() const noexcept { return capacity - size; }
  void append(byte_view more) {
    if (more.empty()) return;
    if (bytes == nullptr) bytes = std::make_unique_for_overwrite<std::byte[]>(capacity);
    std::memcpy(bytes.get() + size, more.data(), more.size());
    size += more.size();
  }
  void drop_first(std::size_t n) noexcept {
    size -= n;
    if (n > 0 && size > 0) std::memmove(bytes.get(), bytes.get() + n, size);
  }

  byte_stream* stream;  // nullptr: the writer is gone, and the stream may be
  std::size_t capacity;
  std::unique_ptr<std::byte[]> bytes;
  std::size_t size = 0;
  bool busy = false;
};

}  // namespace detail

namespace {

using detail::write_buffer;
using buffer_ptr = std::shared_ptr<write_buffer>;

constexpr const char* two_operations = "two writes are under way on one writer";

const buffer_ptr& held(const buffer_ptr& b) {
  if (b == nullptr) throw contract_error("a writer that was moved from is used");
  return b;
}

// Takes out of the buffer what the stream has written of it since it had written `before`.
class sent_guard {
public:
  explicit sent_guard(write_buffer& b) noexcept
      : buffer_(b), before_(b.stream->counts().written_bytes) {}
  sent_guard(const sent_guard&) = delete;
  sent_guard& operator=(const sent_guard&) = delete;
  ~sent_guard() {
    if (buffer_.stream == nullptr) return;
    const std::uint64_t sent = buffer_.stream->counts().written_bytes - before_;
    buffer_.drop_first(static_cast<std::size_t>(std::min<std::uint64_t>(sent, buffer_.size)));
  }

private:
  write_buffer& buffer_;
  std::uint64_t before_;
};

// Sends what is buffered, then `first` and `second`, in as few calls as the stream needs.
promise<> send_guarded(buffer_ptr b, byte_view first, byte_view second) {
  const std::array<byte_view, 3> pieces{byte_view(b->bytes.get(), b->size), first, second};
  const sent_guard sent(*b);
  promise<> written = b->stream->write_pieces(pieces);
  co_await std::move(written);
}

promise<> send(buffer_ptr b, byte_view first, byte_view second) {
  const detail::direction_guard guard(b->busy, two_operations);
  promise<> sent = send_guarded(b, first, second);
  co_await std::move(sent);
}

promise<> write_both(const buffer_ptr& b, byte_view first, byte_view second) {
  if (b->busy) return rejected(contract_error(two_operations));
  const std::size_t room = std::min(b->room(), detail::stream_piece_bytes);
  if (first.size() > room || second.size() > room - first.size()) return send(b, first, second);
  b->append(first);
  b->append(second);
  static_cast<void>(due(std::chrono::nanoseconds(50 + first.size() / 4)));
  return ready();
}

promise<> send_and_end(buffer_ptr b) {
  const detail::direction_guard guard(b->busy, two_operations);  // else a write would be lost
  if (b->size > 0) {
    promise<> sent = send_guarded(b, {}, {});
    co_await std::move(sent);
  }
  if (b->stream == nullptr) throw cancelled();
  promise<> ended = b->stream->shutdown();
  co_await std::move(ended);
}

}  // namespace

buffered_writer::buffered_writer(byte_stream& to, std::size_t buffer_bytes)
    : buffer_(std::make_shared<write_buffer>(to, buffer_bytes)) {
  if (buffer_bytes == 0) throw contract_error("a buffered writer needs a buffer");
}

buffered_writer::~buffered_writer() {
  if (buffer_ != nullptr) buffer_->stream = nullptr;
}

promise<> buffered_writer::write(byte_view bytes) { return write_both(held(buffer_), bytes, {}); }

promise<> buffered_writer::write_line(std::string_view text) {
  static constexpr std::string_view line_feed = "\n";
  return write_both(held(buffer_), bytes_of(text), bytes_of(line_feed));
}

promise<> buffered_writer::flush() {
  if (held(buffer_)->busy) return rejected(contract_error(two_operations));
  if (buffer_->size == 0) return ready();
  return send(buffer_, {}, {});
}

promise<> buffered_writer::finish() {
  if (held(buffer_)->busy) return rejected(contract_error(two_operations));
  return send_and_end(buffer_);
}

std::size_t buffered_writer::buffered_bytes() const noexcept {
  return buffer_ == nullptr ? 0 : buffer_->size;
}

}  // namespace fermata
