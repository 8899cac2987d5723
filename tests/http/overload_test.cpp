// SPDX-License-Identifier: MIT
// What a server does when there is too much of something.

#include "server_support.hpp"
#include "support/policy.hpp"

#include <fermata/http/client_limiter.hpp>
#include <fermata/promise/pause.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

using fermata::promise;
using fermata::ready;
using fermata::test_loop;
using fermata::http::request;
using fermata::http::response;
using fermata::http::server;
using fermata::http::server_options;
using fermata::http::text_response;
using fermata::http::test::client;
using fermata::http::test::fixed_date;
using fermata::http::test::get;
using fermata::http::test::head;
using fermata::http::test::plain;
using fermata::testing::options_of_run;
using namespace std::chrono_literals;

namespace {

promise<response> ok(const request& r) { return ready(text_response(200, r.path())); }

bool is_health(const request& r) { return r.path() == "/healthz"; }

std::string refusal(const std::string& status,
                    const std::string& text,
                    const std::string& seconds,
                    bool close) {
  return head(status, "Content-Length: " + std::to_string(text.size()) + "\r\n" +
                          (close ? "Connection: close\r\n" : "") + "Retry-After: " + seconds +
                          "\r\nContent-Type: text/plain; charset=utf-8\r\n") +
         text;
}

promise<std::string> exchange(client& c, std::string text) {
  co_await c.send(std::move(text));
  promise<std::string> reading = c.some();
  co_return co_await std::move(reading);
}

}  // namespace

TEST_CASE("server refuses requests beyond those that it may be answering", "[http][overload]") {
  test_loop loop(options_of_run());
  auto [gate, open] = fermata::make_promise<>();
  server_options o = fixed_date();
  o.most_requests = 2;
  o.retry_after = 7s;
  o.is_exempt = is_health;
  const auto slow = [gate = gate](const request& r) -> promise<response> {
    if (r.path() == "/slow") co_await gate;
    co_return text_response(200, r.path());
  };
  server s(slow, std::move(o));
  loop.run([&, open = std::move(open)]() mutable -> promise<> {
    client a(s);
    client b(s);
    client c(s);
    co_await a.send(get("/slow"));
    co_await b.send(get("/slow"));
    while (s.counters().active_requests < 2) co_await fermata::pause();
    const std::string refused = co_await exchange(c, get("/x"));
    CHECK(refused ==
          refusal("503 Service Unavailable", "too many requests are being answered\n", "7", false));
    const std::string health = co_await exchange(c, get("/healthz"));
    CHECK(health == plain("200 OK", "/healthz"));
    CHECK(s.counters().overloaded == 1);
    open.resolve();
    const std::string first = co_await a.some();
    CHECK(first == plain("200 OK", "/slow"));
    const std::string later = co_await exchange(c, get("/x"));
    CHECK(later == plain("200 OK", "/x"));
  });
}

TEST_CASE("server answers a health check on a connection over the limit", "[http][overload]") {
  test_loop loop(options_of_run());
  server_options o = fixed_date();
  o.most_connections = 1;
  o.is_exempt = is_health;
  o.linger_time = 2s;
  server s(ok, std::move(o));
  loop.run([&]() -> promise<> {
    client a(s);
    const std::string first = co_await exchange(a, get("/a"));
    CHECK(first == plain("200 OK", "/a"));
    client b(s);
    co_await b.send(get("/healthz") + get("/x"));
    const std::string health = co_await b.rest();
    CHECK(health == plain("200 OK", "/healthz", true));
    client c(s);
    co_await c.send(get("/x"));
    const std::string refused = co_await c.rest();
    CHECK(refused == refusal("503 Service Unavailable", "too many connections\n", "1", true));
    client silent(s);
    const auto began = loop.now();
    co_await silent.served;
    CHECK(loop.now() - began <= 4s);
    CHECK(s.counters().refused_connections == 3);
  });
}

TEST_CASE("server tells a connection over the limit to come again", "[http][overload]") {
  test_loop loop(options_of_run());
  server_options o = fixed_date();
  o.most_connections_per_client = 2;
  server s(ok, std::move(o));
  loop.run([&]() -> promise<> {
    client a(s);
    auto b = std::make_unique<client>(s);
    client c(s);
    const std::string refused = co_await c.rest();
    CHECK(refused == refusal("503 Service Unavailable", "too many connections\n", "1", true));
    b->stream->close();
    co_await b->served;
    client d(s);
    const std::string answer = co_await exchange(d, get("/d"));
    CHECK(answer == plain("200 OK", "/d"));
  });
}

TEST_CASE("server holds a client to its rate", "[http][overload]") {
  test_loop loop(options_of_run());
  server_options o = fixed_date();
  o.client_rate = 10;
  o.client_burst = 3;
  o.is_exempt = is_health;
  o.client_of = [](const request& r, const std::string&) {
    return std::string(r.find_header("X-Client").value_or("nobody"));
  };
  server s(ok, std::move(o));
  loop.run([&]() -> promise<> {
    client c(s);
    for (int i = 0; i < 3; ++i) {
      const std::string answer = co_await exchange(c, get("/a"));
      CHECK(answer == plain("200 OK", "/a"));
    }
    const std::string refused = co_await exchange(c, get("/a"));
    CHECK(refused ==
          refusal("429 Too Many Requests", "too many requests of one client\n", "1", false));
    const std::string health = co_await exchange(c, get("/healthz"));
    CHECK(health == plain("200 OK", "/healthz"));
    const std::string other = co_await exchange(c, get("/a", "X-Client: other\r\n"));
    CHECK(other == plain("200 OK", "/a"));
    co_await fermata::sleep_for(100ms);
    const std::string again = co_await exchange(c, get("/a"));
    CHECK(again == plain("200 OK", "/a"));
    CHECK(s.counters().rate_limited == 1);
  });
}

TEST_CASE("client_limiter forgets whom it has not seen for longest", "[http][overload]") {
  using fermata::http::client_limiter;
  client_limiter l(1, 1);
  const fermata::time_point now{};
  CHECK_FALSE(l.judge("first", now));
  CHECK(l.judge("first", now) == 1s);
  for (std::size_t i = 0; i < client_limiter::most_clients; ++i)
    static_cast<void>(l.judge(std::to_string(i), now));
  CHECK(l.size() == client_limiter::most_clients);
  CHECK_FALSE(l.judge("first", now));
}

TEST_CASE("clients are told apart by address, of IPv6 by network", "[http][overload]") {
  using fermata::http::client_address;
  CHECK(client_address("127.0.0.1:4711") == "127.0.0.1");
  CHECK(client_address("[2001:db8:1:2:3:4:5:6]:80") == "2001:db8:1:2::/64");
  CHECK(client_address("[2001:db8:1:2:ffff::1]:81") == "2001:db8:1:2::/64");
  CHECK(client_address("memory") == "memory");
}
