// SPDX-License-Identifier: MIT
// What every byte stream gets for free, and two streams joined into one.

#include <fermata/promise/pause.hpp>
#include <fermata/promise/stream.hpp>

#include <fmt/format.h>

#include <vector>

namespace fermata {
namespace {

promise<> write_in_turn(byte_stream& to, std::span<const byte_view> pieces) {
  for (const byte_view piece : pieces) {
    promise<> written = to.write(piece);
    co_await std::move(written);
  }
}

class joined_stream final : public byte_stream {
public:
  joined_stream(std::unique_ptr<byte_stream> in, std::unique_ptr<byte_stream> out)
      : in_(std::move(in)), out_(std::move(out)) {}
  promise<std::size_t> read(std::span<std::byte> into) override { return in_->read(into); }
  promise<> write(byte_view bytes) override { return out_->write(bytes); }
  promise<> write_pieces(std::span<const byte_view> pieces) override {
    return out_->write_pieces(pieces);
  }
  promise<> shutdown() override { return out_->shutdown(); }
  void close() noexcept override {
    out_->close();
    in_->close();
  }
  void cancel() noexcept override {
    out_->cancel();
    in_->cancel();
  }
  stream_counts counts() const noexcept override {
    return {in_->counts().read_bytes, out_->counts().written_bytes};
  }
  std::string peer() const override { return in_->peer(); }

private:
  std::unique_ptr<byte_stream> in_;
  std::unique_ptr<byte_stream> out_;
};

}  // namespace

promise<> byte_stream::write_pieces(std::span<const byte_view> pieces) {
  return write_in_turn(*this, pieces);
}

std::unique_ptr<byte_stream> join_streams(std::unique_ptr<byte_stream> in,
                                          std::unique_ptr<byte_stream> out) {
  return std::make_unique<joined_stream>(std::move(in), std::move(out));
}

promise<> read_exactly(byte_stream& from, std::span<std::byte> into) {
  const std::size_t wanted = into.size();
  while (!into.empty()) {
    promise<std::size_t> got = from.read(into);
    const std::size_t n = co_await std::move(got);
    if (n == 0) {
      throw error(fmt::format("cannot read from {}: the stream ends after {} of {} bytes",
                              from.peer(), wanted - into.size(), wanted));
    }
    into = into.subspan(n);
  }
}

promise<std::string> read_to_end(byte_stream& from, std::size_t most_bytes) {
  std::vector<std::byte> buffer(std::min<std::size_t>(most_bytes + 1, 16 * 1024));
  std::string text;
  for (;;) {
    promise<std::size_t> got = from.read(buffer);
    const std::size_t n = co_await std::move(got);
    if (n == 0) break;
    if (n > most_bytes - text.size()) {
      throw error(
          fmt::format("cannot read from {}: more than {} bytes come", from.peer(), most_bytes));
    }
    text.append(reinterpret_cast<const char*>(buffer.data()), n);
  }
  co_return text;
}

promise<> write_text(byte_stream& to, std::string text) {
  promise<> written = to.write(bytes_of(text));
  co_await std::move(written);
}

}  // namespace fermata
