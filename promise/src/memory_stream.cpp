// SPDX-License-Identifier: MIT
// Two streams in memory: two rings, each with one reader and one writer.
//
// Invariants: (1) a ring's reader waits only while it is empty and open, its writer only while it
// is full and open, so at most one of them waits; (2) whoever changes a ring wakes who waits on it,
// and a woken task looks again.

#include <fermata/promise/pause.hpp>
#include <fermata/promise/stream.hpp>

#include <algorithm>
#include <cstring>
#include <vector>

namespace fermata {
namespace {

class ring {
public:
  explicit ring(std::size_t capacity) : bytes_(capacity) {}
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t room() const noexcept { return bytes_.size() - size_; }

  std::size_t put(byte_view from) noexcept {
    const std::size_t n = std::min(from.size(), room());
    const std::size_t at = (begin_ + size_) % bytes_.size();
    const std::size_t first = std::min(n, bytes_.size() - at);
    std::copy_n(from.data(), first, bytes_.data() + at);
    std::copy_n(from.data() + first, n - first, bytes_.data());
    size_ += n;
    return n;
  }
  std::size_t take(std::span<std::byte> into) noexcept {
    const std::size_t n = std::min(into.size(), size_);
    const std::size_t first = std::min(n, bytes_.size() - begin_);
    std::copy_n(bytes_.data() + begin_, first, into.data());
    std::copy_n(bytes_.data(), n - first, into.data() + first);
    begin_ = (begin_ + n) % bytes_.size();
    size_ -= n;
    return n;
  }

private:
  std::vector<std::byte> bytes_;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
};

/// One direction.
struct direction {
  explicit direction(std::size_t capacity) : bytes(capacity) {}

  ring bytes;
  bool writer_ended = false;   // shut down or closed
  bool writer_closed = false;  // by its owner: a write under way is cancelled
  bool reader_closed = false;
  bool is_reset = false;
  bool reads = false;
  bool writes = false;
  resolver<> sleeper;  // the reader or the writer
  std::uint64_t put_bytes = 0;
  std::uint64_t taken_bytes = 0;

  void wake() {
    if (sleeper) std::exchange(sleeper, {}).resolve();
  }
  promise<> change() {
    auto made = make_promise();
    sleeper = std::move(made.settle);
    return std::move(made.future);
  }
  [[nodiscard]] bool may_read() const noexcept {
    return reader_closed || is_reset || writer_ended || bytes.size() > 0;
  }
  [[nodiscard]] bool may_write() const noexcept {
    return writer_closed || is_reset || reader_closed || bytes.room() > 0;
  }
  std::size_t read_now(std::span<std::byte> into) {
    if (is_reset) throw uv_error(UV_ECONNRESET, "cannot read from memory");
    const std::size_t n = bytes.take(into);
    taken_bytes += n;
    if (n > 0) wake();
    return n;
  }
  std::size_t write_now(byte_view from) {
    if (is_reset) throw uv_error(UV_ECONNRESET, "cannot write to memory");
    if (reader_closed) throw uv_error(UV_EPIPE, "cannot write to memory");
    const std::size_t n = bytes.put(from.first(std::min(from.size(), detail::stream_piece_bytes)));
    put_bytes += n;
    if (n > 0) wake();
    return n;
  }
};

using direction_ptr = std::shared_ptr<direction>;  // both ends, and what is under way

promise<std::size_t> read_when_there(direction_ptr d, std::span<std::byte> into) {
  const detail::direction_guard guard(d->reads, detail::two_reads);
  while (!d->may_read()) {
    promise<> changed = d->change();
    co_await std::move(changed);
  }
  if (d->reader_closed) throw cancelled();
  co_return d->read_now(into);
}

promise<> write_in_pieces(direction_ptr d, byte_view bytes) {
  const detail::direction_guard guard(d->writes, detail::two_writes);
  while (!bytes.empty()) {
    while (!d->may_write()) {
      promise<> changed = d->change();
      co_await std::move(changed);
    }
    if (d->writer_closed) throw cancelled();
    const std::size_t n = d->write_now(bytes);
    bytes = bytes.subspan(n);
    co_await maybe_pause(detail::stream_cost(n));
  }
}

class memory_stream final : public byte_stream {
public:
  memory_stream(direction_ptr in, direction_ptr out) : in_(std::move(in)), out_(std::move(out)) {}
  ~memory_stream() override { close(); }

  promise<std::size_t> read(std::span<std::byte> into) override {
    if (into.empty()) return rejected<std::size_t>(contract_error("a read into no bytes"));
    if (in_->reader_closed) return rejected<std::size_t>(closed("read from"));
    if (in_->reads || in_->is_reset || !in_->may_read()) return read_when_there(in_, into);
    const std::size_t n = in_->read_now(into);
    static_cast<void>(due(detail::stream_cost(n)));
    return ready(n);
  }
  promise<> write(byte_view bytes) override {
    if (out_->writer_ended) return rejected(closed("write to"));
    return write_in_pieces(out_, bytes);
  }
  promise<> shutdown() override {
    if (out_->writes) return rejected(contract_error(detail::two_writes));
    out_->writer_ended = true;
    out_->wake();
    return ready();
  }
  void close() noexcept override {
    in_->reader_closed = true;
    out_->writer_ended = out_->writer_closed = true;
    in_->wake();
    out_->wake();
  }
  void cancel() noexcept override {
    in_->is_reset = out_->is_reset = true;
    close();
  }
  stream_counts counts() const noexcept override { return {in_->taken_bytes, out_->put_bytes}; }
  std::string peer() const override { return "memory"; }

private:
  static error closed(const char* what) {
    return uv_error(UV_EBADF, std::string("cannot ") + what + " memory");
  }

  direction_ptr in_;
  direction_ptr out_;
};

}  // namespace

std::pair<std::unique_ptr<byte_stream>, std::unique_ptr<byte_stream>> memory_stream_pair(
    std::size_t capacity) {
  if (capacity == 0) throw contract_error("a memory stream needs a capacity");
  auto there = std::make_shared<direction>(capacity);
  auto back = std::make_shared<direction>(capacity);
  return {std::make_unique<memory_stream>(back, there),
          std::make_unique<memory_stream>(there, back)};
}

}  // namespace fermata
