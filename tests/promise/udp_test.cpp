// SPDX-License-Identifier: MIT
#include "stream_support.hpp"
#include "support/policy.hpp"

#include <fermata/promise/context.hpp>
#include <fermata/promise/udp.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

using fermata::bytes_of;
using fermata::cancel;
using fermata::contract_error;
using fermata::datagram;
using fermata::event_loop;
using fermata::is_cancelled;
using fermata::loop_closed;
using fermata::policy;
using fermata::promise;
using fermata::socket_address;
using fermata::udp_options;
using fermata::udp_socket;
using fermata::with_policy;
using fermata::test::failure_of;
using fermata::test::turns;
using fermata::test::until_settled;
using fermata::testing::options_of_run;

namespace {

struct two_sockets {
  event_loop loop{options_of_run()};
  udp_socket a{"127.0.0.1:0"};
  udp_socket b{"127.0.0.1:0"};
  std::string place = std::string(100, ' ');

  [[nodiscard]] std::span<std::byte> into() { return std::as_writable_bytes(std::span(place)); }
  void send(const std::string& text) {
    loop.run([&] { return a.send_to(bytes_of(text), b.address()); });
  }
  std::string receive() {
    const datagram d = loop.run([&] { return b.receive(into()); });
    return place.substr(0, d.bytes);
  }
};

promise<> send_and_receive(udp_socket& a, udp_socket& b, int n) {
  std::array<std::byte, 10> place{};
  for (int i = 0; i < n; ++i) {
    promise<> sent = a.send_to(bytes_of("x"), b.address());
    co_await std::move(sent);
    promise<datagram> coming = b.receive(place);
    co_await std::move(coming);
  }
}

}  // namespace

TEST_CASE("a datagram comes as a whole and says from where", "[promise][udp]") {
  two_sockets t;
  t.send("hello");
  t.send("");
  const datagram first = t.loop.run([&] { return t.b.receive(t.into()); });
  CHECK(t.place.substr(0, first.bytes) == "hello");
  CHECK(first.from == t.a.address());
  CHECK_FALSE(first.is_truncated());
  const datagram second = t.loop.run([&] { return t.b.receive(t.into()); });
  CHECK(second.sent_bytes == 0);
  CHECK(second.from.port() == t.a.port());
}

TEST_CASE("a datagram is waited for", "[promise][udp]") {
  two_sockets t;
  const promise<datagram> waiting = t.b.receive(t.into());
  t.loop.run([] { return turns(3); });
  CHECK(waiting.is_pending());
  CHECK_THROWS_AS(t.loop.run([&] { return t.b.receive(t.into()); }), contract_error);
  t.send("late");
  CHECK(t.loop.run([&] { return waiting; }).bytes == 4);
}

TEST_CASE("a truncated datagram is told", "[promise][udp]") {
  two_sockets t;
  t.send("123456789");
  t.send("next");
  std::array<std::byte, 4> small{};
  const datagram d = t.loop.run([&] { return t.b.receive(small); });
  CHECK(d.is_truncated());
  CHECK(d.bytes == 4);
  CHECK(d.sent_bytes == 9);
  CHECK(t.receive() == "next");
}

TEST_CASE("a datagram that is too large is refused and the socket stays", "[promise][udp]") {
  two_sockets t;
  const std::string largest(udp_socket::most_bytes, 'x');
  t.send(largest);
  CHECK(t.loop.run([&] { return t.b.receive(t.into()); }).sent_bytes == largest.size());
  const std::string text = largest + "x";
  CHECK(failure_of(t.loop, t.a.send_to(bytes_of(text), t.b.address())) ==
        "cannot send 65508 bytes to " + t.b.address().to_string() +
            ": message too long (uv EMSGSIZE)");
  t.send("small");
  CHECK(t.receive() == "small");
}

TEST_CASE("a connected socket talks to its peer alone", "[promise][udp]") {
  two_sockets t;
  udp_socket stranger("127.0.0.1:0");
  t.b.connect(t.a.address());
  t.loop.run([&] { return stranger.send_to(bytes_of("stranger"), t.b.address()); });
  t.send("friend");
  CHECK(t.receive() == "friend");
  t.loop.run([&] { return t.b.send(bytes_of("answer")); });
  CHECK(t.loop.run([&] { return t.a.receive(t.into()); }).from == t.b.address());
  CHECK(t.place.substr(0, 6) == "answer");
}

TEST_CASE("a peer whose port is closed is told", "[promise][udp]") {
  two_sockets t;
  const std::string peer = t.a.address().to_string();
  t.b.connect(t.a.address());
  t.a.close();
  const promise<datagram> waiting = t.b.receive(t.into());
  t.loop.run([&] { return t.b.send(bytes_of("x")); });
  CHECK(failure_of(t.loop, waiting) ==
        "cannot receive at " + peer + ": connection refused (uv ECONNREFUSED)");
  CHECK(failure_of(t.loop, t.a.send_to(bytes_of("x"), t.b.address())) ==
        "cannot send at a closed socket: bad file descriptor (uv EBADF)");
  CHECK(failure_of(t.loop, t.a.receive(t.into())) ==
        "cannot receive at a closed socket: bad file descriptor (uv EBADF)");
  CHECK_THROWS_WITH(t.a.connect(t.b.address()), "cannot connect to " + t.b.address().to_string() +
                                                    ": bad file descriptor (uv EBADF)");
}

TEST_CASE("a cancelled receive loses no datagram", "[promise][udp]") {
  two_sockets t;
  const promise<datagram> waiting = t.b.receive(t.into());
  t.loop.run([] { return turns(3); });
  cancel(waiting);
  t.loop.run([&] { return until_settled(waiting); });
  CHECK(is_cancelled(waiting.error()));
  t.send("kept");
  CHECK(t.receive() == "kept");
  CHECK_THROWS_AS(t.loop.run([&] { return t.b.receive({}); }), contract_error);
}

TEST_CASE("closing a UDP socket cancels what is under way", "[promise][udp]") {
  two_sockets t;
  std::optional<udp_socket> closing(std::in_place, "127.0.0.1:0");
  const promise<datagram> waiting = closing->receive(t.into());
  closing = std::nullopt;
  t.loop.run([&] { return until_settled(waiting); });
  CHECK(is_cancelled(waiting.error()));
}

TEST_CASE("the end of a loop ends what a UDP socket waits for", "[promise][udp]") {
  auto loop = std::make_unique<event_loop>();
  udp_socket socket("127.0.0.1:0");
  std::array<std::byte, 4> place{};
  promise<datagram> waiting = socket.receive(place);
  loop = nullptr;
  CHECK_THROWS_AS(std::move(waiting).get(), loop_closed);
}

TEST_CASE("an address that cannot be bound is named", "[promise][udp]") {
  const event_loop loop;
  const udp_socket first("127.0.0.1:0");
  const std::string taken = first.address().to_string();
  CHECK_THROWS_WITH(udp_socket(taken),
                    "cannot bind to " + taken + ": address already in use (uv EADDRINUSE)");
  CHECK_THROWS_WITH(udp_socket("nowhere"),
                    "cannot bind to nowhere: the form is ADDR:PORT, as 127.0.0.1:8080 or "
                    "[::1]:8080");
  udp_options shared;
  shared.reuse_port = true;
  const udp_socket one("127.0.0.1:0", shared);
  const udp_socket other(one.address(), shared);
  CHECK(other.port() == one.port());
}

TEST_CASE("sending and receiving look at every datagram", "[promise][udp]") {
  two_sockets t;
  const std::uint64_t before = t.loop.metrics().looks;
  t.loop.run([&] {
    return with_policy(policy::always(), [&] { return send_and_receive(t.a, t.b, 100); });
  });
  CHECK(t.loop.metrics().looks - before >= 200);
}
