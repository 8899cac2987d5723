// SPDX-License-Identifier: MIT
#include "stream_support.hpp"

#include <fermata/promise/scope.hpp>
#include <fermata/promise/tcp.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using fermata::cancel;
using fermata::connect_options;
using fermata::contract_error;
using fermata::event_loop;
using fermata::is_cancelled;
using fermata::listen_options;
using fermata::promise;
using fermata::socket_address;
using fermata::tcp_connect;
using fermata::tcp_listener;
using fermata::test_loop;
using fermata::test::stream_ptr;
using fermata::test::turns;

namespace {

socket_address address_of(const tcp_listener& l) { return *socket_address::parse(l.address()); }

// Answers nobody: its backlog is full.
struct silent_listener {
  explicit silent_listener(event_loop& loop) : listener("127.0.0.1:0", small()) {
    loop.run([this] {
      for (int i = 0; i < 3; ++i) filling.push_back(tcp_connect("127.0.0.1", listener.port()));
    });
  }
  ~silent_listener() {
    for (const promise<stream_ptr>& p : filling) cancel(p);
  }
  static listen_options small() {
    listen_options o;
    o.backlog = 0;
    return o;
  }
  tcp_listener listener;
  std::vector<promise<stream_ptr>> filling;
};

// An address where nobody listens.
socket_address refusing_address() {
  const tcp_listener gone("127.0.0.1:0");
  return address_of(gone);
}

// How many sockets of this process speak to `port`, and how many of them with TCP_NODELAY.
struct sockets_to {
  explicit sockets_to(std::uint16_t port) {
    for (int fd = 3; fd < 1024; ++fd) {
      sockaddr_in peer{};
      socklen_t size = sizeof peer;
      if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
      if (peer.sin_family != AF_INET || ntohs(peer.sin_port) != port) continue;
      int on = 0;
      size = sizeof on;
      ::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size);
      ++count;
      without_delay += on != 0 ? 1 : 0;
    }
  }
  int count = 0;
  int without_delay = 0;
};

promise<> accept_some(tcp_listener& listener, std::vector<stream_ptr>& into) {
  for (;;) {
    stream_ptr next = co_await listener.accept();
    into.push_back(std::move(next));
  }
}

}  // namespace

TEST_CASE("connecting goes on to the next address at once where one refuses", "[promise][tcp]") {
  test_loop loop;
  std::optional<tcp_listener> good;
  loop.run([&good] { good.emplace("127.0.0.1:0"); });
  std::vector<socket_address> addresses{refusing_address(), refusing_address(), address_of(*good)};
  const stream_ptr s = loop.run([&] { return tcp_connect(addresses); });
  CHECK(s->peer() == good->address());
  CHECK(loop.now().time_since_epoch() < 1ms);  // virtual: it waited for no delay
}

TEST_CASE("connecting tries the next address beside one that is silent", "[promise][tcp]") {
  test_loop loop;
  silent_listener silent(loop.loop());
  const tcp_listener good("127.0.0.1:0");
  std::vector<socket_address> addresses{address_of(silent.listener), address_of(good)};
  const auto begun = loop.now();
  const stream_ptr s = loop.run([&] { return tcp_connect(addresses); });
  CHECK(s->peer() == good.address());
  CHECK(loop.now() - begun >= 250ms);
  CHECK(loop.now() - begun < 1s);
}

TEST_CASE("connecting leaves no other try behind", "[promise][tcp]") {
  test_loop loop;
  silent_listener silent(loop.loop());
  const tcp_listener good("127.0.0.1:0");
  const int before = sockets_to(silent.listener.port()).count;
  std::vector<socket_address> addresses{address_of(silent.listener), address_of(good)};
  const auto fds_used = [] {
    int used = 0;
    for (int fd = 3; fd < 1024; ++fd) {
      int type = 0;
      socklen_t size = sizeof type;
      used += ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 ? 1 : 0;
    }
    return used;
  };
  const int sockets = fds_used();
  const stream_ptr s = loop.run([&] { return tcp_connect(addresses); });
  CHECK(fds_used() == sockets + 1);
  CHECK(sockets_to(silent.listener.port()).count == before);
}

TEST_CASE("connecting to several addresses can be cancelled", "[promise][tcp]") {
  event_loop loop;
  silent_listener silent(loop);
  std::vector<socket_address> addresses{address_of(silent.listener), address_of(silent.listener)};
  promise<stream_ptr> connecting;
  loop.run([&] {
    connecting = tcp_connect(addresses);
    return turns(3);
  });
  CHECK(connecting.is_pending());
  cancel(connecting);
  loop.run([&] { return fermata::test::until_settled(connecting); });
  CHECK(is_cancelled(connecting.error()));
}

TEST_CASE("connecting names each address and why", "[promise][tcp]") {
  test_loop loop;
  silent_listener silent(loop.loop());
  const socket_address refusing = refusing_address();
  connect_options soon;
  soon.timeout = 300ms;
  std::vector<socket_address> addresses{refusing, address_of(silent.listener)};
  CHECK_THROWS_WITH(loop.run([&] { return tcp_connect(addresses, soon); }),
                    "cannot connect to " + refusing.to_string() + ": connection refused; " +
                        silent.listener.address() + ": connection timed out (uv ETIMEDOUT)");
  CHECK_THROWS_AS(loop.run([] { return tcp_connect(std::vector<socket_address>()); }),
                  contract_error);
}

TEST_CASE("listeners share a port where all say so", "[promise][tcp]") {
  event_loop loop;
  listen_options shared;
  shared.reuse_port = true;
  tcp_listener first("127.0.0.1:0", shared);
  tcp_listener second(first.address(), shared);
  CHECK(second.port() == first.port());
  CHECK_THROWS_WITH(tcp_listener(first.address()), "cannot listen on " + first.address() +
                                                       ": address already in use (uv EADDRINUSE)");
  constexpr std::size_t many = 64;
  std::vector<stream_ptr> at_first;
  std::vector<stream_ptr> at_second;
  std::vector<stream_ptr> clients;
  const auto connect_all = [&]() -> promise<> {
    const promise<> one = accept_some(first, at_first);
    const promise<> two = accept_some(second, at_second);
    for (std::size_t i = 0; i < many; ++i) {
      stream_ptr client = co_await tcp_connect("127.0.0.1", first.port());
      clients.push_back(std::move(client));
    }
    while (at_first.size() + at_second.size() < many) co_await fermata::pause();
    cancel(one);
    cancel(two);
  };
  loop.run(connect_all);
  CHECK(at_first.size() + at_second.size() == many);
  CHECK_FALSE(at_first.empty());
  CHECK_FALSE(at_second.empty());
}

TEST_CASE("small writes leave at once, unless they shall not", "[promise][tcp]") {
  event_loop loop;
  for (const bool no_delay : {true, false}) {
    listen_options listening;
    listening.no_delay = no_delay;
    connect_options connecting;
    connecting.no_delay = no_delay;
    tcp_listener listener("127.0.0.1:0", listening);
    const auto both = [&]() -> promise<std::uint16_t> {
      stream_ptr client = co_await tcp_connect("127.0.0.1", listener.port(), connecting);
      stream_ptr server = co_await listener.accept();
      const sockets_to at_client(listener.port());
      CHECK(at_client.count == 1);
      CHECK(at_client.without_delay == (no_delay ? 1 : 0));
      const sockets_to at_server(socket_address::parse(server->peer())->port());
      CHECK(at_server.count == 1);
      CHECK(at_server.without_delay == (no_delay ? 1 : 0));
      co_return listener.port();
    };
    CHECK(loop.run(both) == listener.port());
  }
}
