// SPDX-License-Identifier: MIT
#include "upload_session.hpp"

#include "costs.hpp"

#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>

#include <utility>

namespace fermata::git_mem::detail {

namespace {

constexpr std::size_t read_bytes = 16 * 1024;
constexpr std::size_t answer_bytes = 32 * 1024;  // that are gathered before they are written

}  // namespace

upload_session::upload_session(snapshot_ptr from,
                               byte_stream& stream,
                               const upload_pack_options& options)
    : from_(std::move(from)), stream_(stream), options_(options), buffer_(read_bytes) {}

promise<std::optional<request_packet>> upload_session::read() {
  for (;;) {
    if (const std::optional<pkt> p = packets_.next()) {
      request_packet packet{p->kind, std::string(p->line())};
      co_await maybe_pause();
      co_return packet;
    }
    promise<std::size_t> reading =
        with_timeout(options_.idle_timeout, stream_.read(std::span(buffer_)));
    const std::size_t n = co_await reading;
    if (n == 0) {
      packets_.finish_input();
      co_return std::nullopt;
    }
    received_ += n;
    if (received_ > options_.limits.request_bytes) {
      throw failure(reason::limit, "request of more than " +
                                       std::to_string(options_.limits.request_bytes) + " bytes");
    }
    packets_.feed(std::span(buffer_).first(n));
    co_await maybe_pause(copy_cost(n));
  }
}

promise<request_packet> upload_session::read_more() {
  promise<std::optional<request_packet>> reading = read();
  std::optional<request_packet> p = co_await std::move(reading);
  if (!p) throw failure(reason::protocol, "the client hung up inside a request");
  co_return std::move(*p);
}

promise<> upload_session::write(std::span<const byte_view> pieces) {
  promise<> written = with_timeout(options_.idle_timeout, stream_.write_pieces(pieces));
  co_await written;
}

promise<> upload_session::flush() {
  if (out_.empty()) co_return;
  const std::string text = std::exchange(out_, {});
  const byte_view piece = bytes_of(text);
  promise<> written = write({&piece, 1});
  co_await written;
}

promise<> upload_session::say(std::string line) {
  add(line);
  co_await maybe_pause();
  if (out_.size() < answer_bytes) co_return;
  promise<> flushed = flush();
  co_await flushed;
}

}  // namespace fermata::git_mem::detail
