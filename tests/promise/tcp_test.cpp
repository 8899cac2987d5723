// SPDX-License-Identifier: MIT
#include "stream_support.hpp"

#include <fermata/promise/context.hpp>
#include <fermata/promise/tcp.hpp>

#include <catch2/catch.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using fermata::byte_stream;
using fermata::byte_view;
using fermata::bytes_of;
using fermata::cancel;
using fermata::connect_options;
using fermata::contract_error;
using fermata::error;
using fermata::event_loop;
using fermata::is_cancelled;
using fermata::loop_closed;
using fermata::promise;
using fermata::read_exactly;
using fermata::read_to_end;
using fermata::tcp_connect;
using fermata::tcp_listener;
using fermata::write_text;
using fermata::test::failure_of;
using fermata::test::stream_ptr;
using fermata::test::turns;
using fermata::test::until_settled;
using fermata::test::write_and_end;

namespace {

struct connected_pair {
  stream_ptr client;
  stream_ptr server;
};

promise<connected_pair> connect_pair(tcp_listener& listener) {
  promise<stream_ptr> accepting = listener.accept();
  promise<stream_ptr> connecting = tcp_connect("127.0.0.1", listener.port());
  connected_pair both;
  both.server = co_await std::move(accepting);
  both.client = co_await std::move(connecting);
  co_return both;
}

promise<> echo(byte_stream& s) {
  std::array<std::byte, 8192> buffer;
  for (;;) {
    promise<std::size_t> got = s.read(buffer);
    const std::size_t n = co_await std::move(got);
    if (n == 0) break;
    promise<> sent = s.write(std::span(buffer).first(n));
    co_await std::move(sent);
  }
  promise<> end = s.shutdown();
  co_await std::move(end);
}

promise<std::string> through_echo(connected_pair& both, std::string text) {
  promise<> echoing = echo(*both.server);
  promise<> writing = write_and_end(*both.client, std::move(text));
  promise<std::string> reading = read_to_end(*both.client, 100'000'000);
  std::string result = co_await std::move(reading);
  co_await writing;
  co_await echoing;
  co_return result;
}

promise<> cancel_after_a_while(promise<> writing) {
  promise<> a_while = turns(200);
  co_await std::move(a_while);
  CHECK(writing.is_pending());
  cancel(writing);
  promise<> end = until_settled(writing);
  co_await std::move(end);
}

/// A loop with a connection over loopback.
struct connection {
  event_loop loop;
  tcp_listener listener{"127.0.0.1:0"};
  connected_pair both = loop.run([this] { return connect_pair(listener); });
};

}  // namespace

// ---- listening ----

TEST_CASE("tcp_listener tells the real address where port 0 is asked for", "[promise][tcp]") {
  event_loop loop;
  const tcp_listener listener("127.0.0.1:0");
  CHECK(listener.port() != 0);
  CHECK(listener.address() == "127.0.0.1:" + std::to_string(listener.port()));
  const tcp_listener named("localhost:0");
  CHECK(named.address() == "127.0.0.1:" + std::to_string(named.port()));
}

TEST_CASE("tcp_listener says what is wrong with an address", "[promise][tcp]") {
  event_loop loop;
  const std::string form = ": the form is ADDR:PORT, as 127.0.0.1:8080 or [::1]:8080";
  for (const std::string text : {"", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                                 "127.0.0.1:+80", "::1:80", "[127.0.0.1]:80", "example.org:80"}) {
    CHECK_THROWS_WITH(tcp_listener(text), "cannot listen on " + text + form);
  }
}

TEST_CASE("tcp_listener says where an address is in use", "[promise][tcp]") {
  event_loop loop;
  const tcp_listener first("127.0.0.1:0");
  CHECK_THROWS_WITH(tcp_listener(first.address()), "cannot listen on " + first.address() +
                                                       ": address already in use (uv EADDRINUSE)");
}

TEST_CASE("a cancelled accept loses no connection", "[promise][tcp]") {
  event_loop loop;
  tcp_listener listener("127.0.0.1:0");
  loop.run([&] {
    const promise<stream_ptr> first = listener.accept();
    CHECK_THROWS_AS(listener.accept().get(), contract_error);
    cancel(first);
    return until_settled(first);
  });
  const connected_pair both = loop.run([&] { return connect_pair(listener); });
  CHECK(both.server != nullptr);
}

TEST_CASE("closing a listener cancels its accept", "[promise][tcp]") {
  event_loop loop;
  tcp_listener listener("127.0.0.1:0");
  promise<stream_ptr> accepting;
  loop.run([&] {
    accepting = listener.accept();
    listener.close();
    return until_settled(accepting);
  });
  CHECK(is_cancelled(accepting.error()));
  promise<stream_ptr> late = loop.run([&] { return std::optional(listener.accept()); }).value();
  CHECK(failure_of(loop, late) ==
        "cannot accept a connection on " + listener.address() + ": bad file descriptor (uv EBADF)");
}

TEST_CASE("accept tells that descriptors have run out and goes on later", "[promise][tcp]") {
#ifdef FERMATA_SANITIZED
  std::puts("skipped: UBSan itself needs a descriptor to look at an exception");
  return;
#endif
  event_loop loop;
  tcp_listener listener("127.0.0.1:0");
  promise<stream_ptr> connecting;
  loop.run([&] {
    connecting = tcp_connect("127.0.0.1", listener.port());
    return until_settled(connecting);
  });
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 0;
  setrlimit(RLIMIT_NOFILE, &none);
  promise<stream_ptr> accepting = listener.accept();
  setrlimit(RLIMIT_NOFILE, &before);
  const std::string message = failure_of(loop, accepting);
  CHECK(message == "cannot accept a connection on " + listener.address() +
                       ": too many open files (uv EMFILE)");
  CHECK(loop.run([&] { return listener.accept(); }) != nullptr);
}

// ---- connecting ----

TEST_CASE("a connection knows both of its ends", "[promise][tcp]") {
  connection c;
  CHECK(c.both.client->peer() == c.listener.address());
  CHECK(c.both.server->peer().starts_with("127.0.0.1:"));
}

TEST_CASE("tcp_connect resolves names and tries every address", "[promise][tcp]") {
  event_loop loop;
  tcp_listener listener("127.0.0.1:0");
  const stream_ptr client = loop.run([&] { return tcp_connect("localhost", listener.port()); });
  CHECK(client->peer() == listener.address());
}

TEST_CASE("tcp_connect works over IPv6", "[promise][tcp]") {
  event_loop loop;
  std::optional<tcp_listener> listener;
  try {
    listener.emplace("[::1]:0");
  } catch (const error&) {
    WARN("skipped: IPv6");
    return;
  }
  CHECK(listener->address() == "[::1]:" + std::to_string(listener->port()));
  const stream_ptr client = loop.run([&] { return tcp_connect("::1", listener->port()); });
  CHECK(client->peer() == listener->address());
}

TEST_CASE("tcp_connect says which addresses refuse", "[promise][tcp]") {
  event_loop loop;
  std::uint16_t port = 0;
  {
    const tcp_listener listener("127.0.0.1:0");
    port = listener.port();
  }
  const std::string number = std::to_string(port);
  CHECK_THROWS_WITH(
      loop.run([&] { return tcp_connect("127.0.0.1", port); }),
      "cannot connect to 127.0.0.1:" + number + ": connection refused (uv ECONNREFUSED)");
  CHECK_THROWS_WITH(loop.run([&] { return tcp_connect("localhost", port); }),
                    Catch::StartsWith("cannot connect to localhost:" + number + ": ") &&
                        Catch::Contains("127.0.0.1:" + number) &&
                        Catch::EndsWith(": connection refused (uv ECONNREFUSED)"));
}

TEST_CASE("tcp_connect says that a name is unknown", "[promise][tcp]") {
  event_loop loop;
  CHECK_THROWS_WITH(
      loop.run([] { return tcp_connect("no such name", 1); }),
      Catch::StartsWith("cannot connect to no such name:1: ") && Catch::Contains("(uv EAI_"));
}

TEST_CASE("tcp_connect gives up after its timeout", "[promise][tcp]") {
  event_loop loop;
  fermata::listen_options small;
  small.backlog = 0;
  tcp_listener full("127.0.0.1:0", small);
  connect_options soon;
  soon.timeout = 20ms;
  std::vector<promise<stream_ptr>> filling;  // a full backlog answers nobody
  loop.run([&] {
    for (int i = 0; i < 3; ++i) filling.push_back(tcp_connect("127.0.0.1", full.port(), soon));
  });
  CHECK(failure_of(loop, filling.back()) ==
        "cannot connect to " + full.address() + ": connection timed out (uv ETIMEDOUT)");
}

TEST_CASE("a cancelled tcp_connect ends at once", "[promise][tcp]") {
  event_loop loop;
  fermata::listen_options small;
  small.backlog = 0;
  tcp_listener full("127.0.0.1:0", small);
  std::vector<promise<stream_ptr>> filling;
  loop.run([&] {
    for (int i = 0; i < 3; ++i) filling.push_back(tcp_connect("127.0.0.1", full.port()));
    return turns(3);
  });
  const promise<stream_ptr>& last = filling.back();
  CHECK(last.is_pending());
  cancel(last);
  loop.run([&] { return turns(3); });
  CHECK(is_cancelled(last.error()));
}

// ---- reading and writing ----

TEST_CASE("a connection carries bytes unchanged and each side ends by itself", "[promise][tcp]") {
  connection c;
  std::string text;
  for (int i = 0; text.size() < 5'000'000; ++i) text += std::to_string(i);
  const std::string back = c.loop.run([&] { return through_echo(c.both, text); });
  CHECK(back == text);
  CHECK(c.both.client->counts().read_bytes == text.size());
  CHECK(c.both.client->counts().written_bytes == text.size());
}

TEST_CASE("write_pieces writes more pieces than one system call takes", "[promise][tcp]") {
  connection c;
  const std::string letters = "abcdefghijklmnopqrstuvwxyz";
  std::vector<byte_view> pieces;
  for (int i = 0; i < 100; ++i) pieces.push_back(bytes_of(letters).first(std::size_t(i % 27)));
  std::string expected;
  for (const byte_view p : pieces) expected += letters.substr(0, p.size());
  std::string read(expected.size(), ' ');
  c.loop.run([&] { return c.both.client->write_pieces(pieces); });
  c.loop.run([&] { return read_exactly(*c.both.server, std::as_writable_bytes(std::span(read))); });
  CHECK(read == expected);
}

TEST_CASE("a cancelled read ends at once and leaves the connection usable", "[promise][tcp]") {
  connection c;
  std::array<std::byte, 16> buffer{};
  promise<std::size_t> reading;
  c.loop.run([&] {
    reading = c.both.server->read(buffer);
    CHECK_THROWS_AS(c.both.server->read(buffer).get(), contract_error);
    cancel(reading);
    return until_settled(reading);
  });
  CHECK(is_cancelled(reading.error()));
  c.loop.run([&] { return write_text(*c.both.client, "on"); });
  CHECK(c.loop.run([&] { return c.both.server->read(buffer); }) == 2);
}

TEST_CASE("a cancelled write ends at once and counts tell what was sent", "[promise][tcp]") {
  connection c;
  const std::string large(30'000'000, 'x');
  promise<> writing;
  c.loop.run([&] {
    writing = c.both.client->write(bytes_of(large));
    return cancel_after_a_while(writing);
  });
  CHECK(is_cancelled(writing.error()));
  const std::uint64_t sent = c.both.client->counts().written_bytes;
  CHECK(sent > 0);
  CHECK(sent < large.size());
  c.loop.run([&] { return c.both.client->shutdown(); });
  CHECK(c.loop.run([&] { return read_to_end(*c.both.server, large.size()); }).size() == sent);
}

TEST_CASE("writing to a peer that is gone rejects and raises no signal", "[promise][tcp]") {
  connection c;
  c.both.server->cancel();
  const std::string large(10'000'000, 'x');
  const promise<> writing =
      c.loop.run([&] { return std::optional(c.both.client->write(bytes_of(large))); }).value();
  const std::string message = failure_of(c.loop, writing);
  CHECK_THAT(message, Catch::StartsWith("cannot write to " + c.listener.address() + ": "));
}

TEST_CASE("a cancelled connection is reset for its peer", "[promise][tcp]") {
  connection c;
  c.both.client->cancel();
  std::array<std::byte, 16> buffer{};
  const promise<std::size_t> reading =
      c.loop.run([&] { return std::optional(c.both.server->read(buffer)); }).value();
  CHECK_THAT(failure_of(c.loop, reading),
             Catch::EndsWith("connection reset by peer (uv ECONNRESET)"));
}

TEST_CASE("closing a connection cancels what is under way and refuses the rest", "[promise][tcp]") {
  connection c;
  std::array<std::byte, 16> buffer{};
  promise<std::size_t> reading;
  c.loop.run([&] {
    reading = c.both.server->read(buffer);
    c.both.server = nullptr;
    return until_settled(reading);
  });
  CHECK(is_cancelled(reading.error()));
  c.both.client->close();
  CHECK_THROWS_WITH(
      c.loop.run([&] { return c.both.client->read(buffer); }),
      "cannot read from " + c.listener.address() + ": bad file descriptor (uv EBADF)");
}

TEST_CASE("the end of a loop ends what its connections wait for", "[promise][tcp]") {
  auto c = std::make_unique<connection>();
  std::array<std::byte, 16> buffer{};
  promise<std::size_t> reading;
  promise<stream_ptr> accepting;
  c->loop.run([&] {
    reading = c->both.server->read(buffer);
    accepting = c->listener.accept();
  });
  connected_pair both = std::move(c->both);
  c = nullptr;
  CHECK_THROWS_AS(std::move(reading).get(), loop_closed);
  CHECK_THROWS_AS(std::move(accepting).get(), loop_closed);
}

// ---- pausing ----

namespace {

promise<> read_for_ever(byte_stream& s, std::uint64_t& reads) {
  std::array<std::byte, 16> buffer{};
  for (;;) {
    promise<std::size_t> got = s.read(buffer);
    const std::size_t n = co_await std::move(got);
    if (n == 0) break;
    ++reads;
  }
}

}  // namespace

TEST_CASE("a reader of a stream that is always ready gives the thread back", "[promise][tcp]") {
  connection c;
  const std::string plenty(200'000, 'x');
  c.loop.run([&] { return write_and_end(*c.both.client, plenty); });
  std::uint64_t reads = 0;
  const std::uint64_t before = c.loop.metrics().looks;
  c.loop.run([&] {
    return fermata::with_policy(fermata::policy::always(),
                                [&] { return read_for_ever(*c.both.server, reads); });
  });
  CHECK(reads >= plenty.size() / 16);
  CHECK(c.loop.metrics().looks - before >= reads);
}

TEST_CASE("a large write to a reader that keeps up looks after every piece", "[promise][tcp]") {
  connection c;
  const std::string large(4'000'000, 'x');
  const std::uint64_t before = c.loop.metrics().looks;
  c.loop.run([&] {
    return fermata::with_policy(fermata::policy::always(),
                                [&] { return through_echo(c.both, large); });
  });
  CHECK(c.loop.metrics().looks - before >= large.size() / fermata::detail::stream_piece_bytes);
}
