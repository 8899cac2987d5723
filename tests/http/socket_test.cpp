// SPDX-License-Identifier: MIT
// The server on real sockets: port 0 on loopback.

#include "server_support.hpp"
#include "support/policy.hpp"

#include <fermata/http/server.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/tcp.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

using fermata::byte_stream;
using fermata::event_loop;
using fermata::promise;
using fermata::ready;
using fermata::tcp_connect;
using fermata::http::request;
using fermata::http::response;
using fermata::http::server;
using fermata::http::text_response;
using fermata::http::test::fixed_date;
using fermata::http::test::get;
using fermata::http::test::plain;
using fermata::testing::options_of_run;
using namespace std::chrono_literals;

namespace {

promise<response> ok(const request& r) { return ready(text_response(200, r.path())); }

std::uint16_t port_of(const std::string& address) {
  return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

promise<std::string> ask_socket(std::string host, std::uint16_t port, std::string text) {
  promise<std::unique_ptr<byte_stream>> connecting = tcp_connect(std::move(host), port);
  const std::unique_ptr<byte_stream> stream = co_await std::move(connecting);
  promise<> sending = fermata::write_text(*stream, std::move(text));
  co_await sending;
  promise<std::string> reading = fermata::read_to_end(*stream, 64 << 20);
  co_return co_await std::move(reading);
}

}  // namespace

TEST_CASE("server listens on a free port and says which", "[http][socket]") {
  event_loop loop(options_of_run());
  server s(ok, fixed_date());
  loop.run([&]() -> promise<> {
    const std::string address = s.listen("127.0.0.1:0");
    CHECK(address.starts_with("127.0.0.1:"));
    CHECK(port_of(address) != 0);
    const std::string answer = co_await ask_socket("127.0.0.1", port_of(address),
                                                   get("/a") + get("/b", "Connection: close\r\n"));
    CHECK(answer == plain("200 OK", "/a") + plain("200 OK", "/b", true));
    co_await s.shutdown(1s);
  });
}

TEST_CASE("server listens on IPv6 too", "[http][socket]") {
  event_loop loop(options_of_run());
  server s(ok, fixed_date());
  loop.run([&]() -> promise<> {
    const std::string address = s.listen("[::1]:0");
    CHECK(address.starts_with("[::1]:"));
    const std::string answer =
        co_await ask_socket("::1", port_of(address), get("/a", "Connection: close\r\n"));
    CHECK(answer == plain("200 OK", "/a", true));
    co_await s.shutdown(1s);
  });
}

TEST_CASE("server says why it cannot listen", "[http][socket]") {
  event_loop loop(options_of_run());
  server s(ok);
  const std::string address = s.listen("127.0.0.1:0");
  CHECK_THROWS_WITH(s.listen(address),
                    "cannot listen on " + address + ": address already in use (uv EADDRINUSE)");
  CHECK_THROWS_AS(s.listen("nonsense"), fermata::error);
}

TEST_CASE("server refuses with the answer arriving before the end", "[http][socket]") {
  event_loop loop(options_of_run());
  server s(ok, fixed_date());
  loop.run([&]() -> promise<> {
    const std::string address = s.listen("127.0.0.1:0");
    for (int i = 0; i < 20; ++i) {
      const std::string answer = co_await ask_socket(
          "127.0.0.1", port_of(address),
          "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n" + std::string(300000, 'x'));
      CHECK(answer == plain("413 Content Too Large", "the body is too large\n", true));
    }
    co_await s.shutdown(1s);
  });
}

TEST_CASE("server sends a large body over a socket", "[http][socket]") {
  event_loop loop(options_of_run());
  const std::string body(20'000'000, 'x');
  const auto large = [&](const request&) { return ready(text_response(200, body)); };
  server s(large, fixed_date());
  loop.run([&]() -> promise<> {
    const std::string address = s.listen("127.0.0.1:0");
    const std::string answer =
        co_await ask_socket("127.0.0.1", port_of(address), get("/a", "Connection: close\r\n"));
    CHECK((answer == plain("200 OK", body, true)));
    co_await s.shutdown(1s);
  });
}

TEST_CASE("server outlives clients that reset while it writes", "[http][socket]") {
  event_loop loop(options_of_run());
  const auto large = [](const request&) {
    return ready(text_response(200, std::string(4'000'000, 'x')));
  };
  server s(large, fixed_date());
  loop.run([&]() -> promise<> {
    const std::string address = s.listen("127.0.0.1:0");
    for (int i = 0; i < 20; ++i) {
      promise<std::unique_ptr<byte_stream>> connecting = tcp_connect("127.0.0.1", port_of(address));
      std::unique_ptr<byte_stream> stream = co_await std::move(connecting);
      co_await fermata::write_text(*stream, get("/a") + get("/b"));
      const std::string some = co_await fermata::http::test::read_some(*stream, 1000);
      i % 2 == 0 ? stream->cancel() : stream->close();
    }
    co_await s.shutdown(5s);
  });
  CHECK(s.counters().active_connections == 0);
  CHECK(s.counters().timeouts == 0);
}

TEST_CASE("server stops accepting when it shuts down", "[http][socket]") {
  event_loop loop(options_of_run());
  server s(ok, fixed_date());
  loop.run([&]() -> promise<> {
    const std::string address = s.listen("127.0.0.1:0");
    co_await s.shutdown(1s);
    bool refused = false;
    try {
      const std::string answer = co_await ask_socket("127.0.0.1", port_of(address), get("/a"));
    } catch (const fermata::error&) {
      refused = true;
    }
    CHECK(refused);
  });
}
