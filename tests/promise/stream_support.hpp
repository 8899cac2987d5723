// SPDX-License-Identifier: MIT
// What tests of streams share.
#pragma once

#include <fermata/promise/pause.hpp>
#include <fermata/promise/stream.hpp>
#include <fermata/promise/tcp.hpp>
#include <fermata/promise/unique_fd.hpp>

#include <arpa/inet.h>
#include <sys/socket.h>

#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace fermata::test {

using stream_ptr = std::unique_ptr<byte_stream>;

template <typename T>
promise<> until_settled(promise<T> p) {
  while (p.is_pending()) co_await fermata::pause();
}

/// Turns until `p` has settled; gives its error message.
template <typename T>
std::string failure_of(event_loop& loop, const promise<T>& p) {
  loop.run([&p] { return until_settled(p); });
  return p.is_rejected() ? message_of(p.error()) : "no failure";
}

/// Lets everything else go on for `n` turns.
inline promise<> turns(int n) {
  for (int i = 0; i < n; ++i) co_await fermata::pause();
}

inline promise<> write_and_end(byte_stream& s, std::string text) {
  promise<> written = write_text(s, std::move(text));
  co_await std::move(written);
  promise<> end = s.shutdown();
  co_await std::move(end);
}

inline promise<std::string> read_some(byte_stream& s, std::size_t most) {
  std::string text(most, ' ');
  promise<std::size_t> got = s.read(std::as_writable_bytes(std::span(text)));
  const std::size_t n = co_await std::move(got);
  text.resize(n);
  co_return text;
}

/// Writes all to `a` while all is read from `b`.
inline promise<std::string> carry(byte_stream& a, byte_stream& b, std::string text) {
  const std::size_t most = text.size();
  promise<> writing = write_and_end(a, std::move(text));
  promise<std::string> reading = read_to_end(b, most);
  std::string result = co_await std::move(reading);
  co_await std::move(writing);
  co_return result;
}

/// The other end of a connection, a plain socket that no loop reads.
struct plain_peer {
  unique_fd socket;
  stream_ptr ours;
};
inline plain_peer connect_plain(event_loop& loop, tcp_listener& listener) {
  unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(listener.port());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    throw std::runtime_error("cannot connect");
  }
  return {std::move(fd), loop.run([&listener] { return listener.accept(); })};
}

}  // namespace fermata::test
