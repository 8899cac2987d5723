// SPDX-License-Identifier: MIT
// A server and its clients in one process, over memory.
#pragma once

#include <fermata/http/server.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/stream.hpp>
#include <fermata/promise/test_loop.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fermata::http::test {

inline constexpr std::string_view date_text = "Thu, 01 Jan 1970 00:00:00 GMT";

/// `GET <path>` of a 1.1 client, with more fields if wanted.
inline std::string get(std::string_view path, std::string_view fields = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\n";
}

/// What the server's head looks like for these facts.
inline std::string head(std::string_view status, std::string_view fields) {
  return "HTTP/1.1 " + std::string(status) + "\r\nDate: " + std::string(date_text) +
         "\r\nServer: fermata\r\n" + std::string(fields) + "\r\n";
}

/// A text/plain response of the server as `text_response` gives it.
inline std::string plain(std::string_view status, std::string_view text, bool close = false) {
  return head(status, "Content-Length: " + std::to_string(text.size()) + "\r\n" +
                          (close ? "Connection: close\r\n" : "") +
                          "Content-Type: text/plain; charset=utf-8\r\n") +
         std::string(text);
}

inline server_options fixed_date() {
  server_options o;
  o.wall_clock = [] { return std::chrono::sys_seconds{}; };
  return o;
}

/// The far end of a connection that `s` serves.
struct client {
  explicit client(server& s, std::size_t capacity = 64 * 1024) {
    auto [near, far] = memory_stream_pair(capacity);
    stream = std::move(near);
    served = s.serve(std::move(far));
  }
  promise<> send(std::string text) { return write_text(*stream, std::move(text)); }
  /// All that comes up to the end.
  promise<std::string> rest() { return read_to_end(*stream, 64 << 20); }
  /// What is there, at most `most` bytes.
  promise<std::string> some(std::size_t most = 4096);

  std::unique_ptr<byte_stream> stream;
  promise<> served;
};

inline promise<std::string> read_some(byte_stream& from, std::size_t most) {
  std::string text(most, '\0');
  promise<std::size_t> reading = from.read(std::as_writable_bytes(std::span<char>(text)));
  const std::size_t size = co_await reading;
  text.resize(size);
  co_return text;
}

inline promise<std::string> client::some(std::size_t most) { return read_some(*stream, most); }

/// Sends `text`, ends the write side and gives all that comes back.
inline promise<std::string> ask(server& s, std::string text) {
  client c(s);
  promise<> sending = c.send(std::move(text));
  co_await sending;
  promise<> ending = c.stream->shutdown();
  co_await ending;
  promise<std::string> reading = c.rest();
  std::string answer = co_await reading;
  co_await c.served;
  co_return answer;
}

}  // namespace fermata::http::test
