// SPDX-License-Identifier: MIT
// Clients that mean harm, are slow, or go away.

#include "server_support.hpp"
#include "support/policy.hpp"

#include <fermata/http/server.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <utility>

using fermata::cancel;
using fermata::promise;
using fermata::ready;
using fermata::sleep_for;
using fermata::test_loop;
using fermata::http::request;
using fermata::http::response;
using fermata::http::server;
using fermata::http::server_options;
using fermata::http::shared_bytes;
using fermata::http::text_response;
using fermata::http::test::ask;
using fermata::http::test::client;
using fermata::http::test::fixed_date;
using fermata::http::test::get;
using fermata::http::test::head;
using fermata::http::test::plain;
using fermata::testing::options_of_run;
using namespace std::chrono_literals;

namespace {

promise<response> ok(const request& r) { return ready(text_response(200, r.path())); }

promise<response> large(const request&) {
  response r;
  r.body = shared_bytes(std::string(10'000'000, 'x'));
  return ready(std::move(r));
}

// One byte at a time, each after `pause`, until the server has had enough.
promise<> trickle(client& c, std::string text, std::chrono::nanoseconds pause) {
  try {
    for (const char one : text) {
      co_await c.send(std::string(1, one));
      co_await sleep_for(pause);
    }
  } catch (const fermata::error&) {
  }
}

struct outcome {
  std::string answer;
  std::chrono::nanoseconds took{0};
};

// Sends `text` byte by byte and notes when the server ends the connection.
outcome trickled(const std::string& text, std::chrono::nanoseconds pause) {
  test_loop loop(options_of_run());
  server s(ok, fixed_date());
  outcome out;
  loop.run([&]() -> promise<> {
    client c(s);
    const auto begin = loop.now();
    promise<> sending = trickle(c, text, pause);
    promise<std::string> reading = c.rest();
    out.answer = co_await reading;
    out.took = loop.now() - begin;
    co_await sending;
    co_await c.served;
  });
  CHECK(s.counters().active_connections == 0);
  return out;
}

std::string status_line(const std::string& answer) { return answer.substr(0, answer.find('\r')); }

}  // namespace

TEST_CASE("server refuses what the parser refuses, and closes", "[http][hostile]") {
  const auto answer = [](const std::string& text) {
    test_loop loop(options_of_run());
    server s(ok, fixed_date());
    const std::string all = loop.run([&] { return ask(s, text); });
    CHECK(s.counters().malformed == 1);
    return all;
  };
  CHECK(answer("GET / HTTP/1.1\r\n\r\n" + get("/smuggled")) ==
        plain("400 Bad Request", "the Host is missing\n", true));
  CHECK(
      answer("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
             "0\r\n\r\n" +
             get("/smuggled")) ==
      plain("400 Bad Request", "a Transfer-Encoding beside another or beside a Content-Length\n",
            true));
  CHECK(status_line(answer("GET / HTTP/3.0\r\n\r\n")) == "HTTP/1.1 505 HTTP Version Not Supported");
  CHECK(status_line(answer("GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n")) ==
        "HTTP/1.1 414 URI Too Long");
  CHECK(status_line(answer("GET / HTTP/1.1\r\nX: " + std::string(20000, 'a'))) ==
        "HTTP/1.1 431 Request Header Fields Too Large");
  CHECK(status_line(answer("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n")) ==
        "HTTP/1.1 413 Content Too Large");
}

TEST_CASE("server answers what came before a malformed request", "[http][hostile]") {
  test_loop loop(options_of_run());
  server s(ok, fixed_date());
  const std::string answer = loop.run([&] { return ask(s, get("/a") + "nonsense\r\n\r\n"); });
  CHECK(answer.starts_with(plain("200 OK", "/a")));
  CHECK(answer.find("HTTP/1.1 400 Bad Request") != std::string::npos);
}

TEST_CASE("server gives a whole head ten seconds, however it trickles", "[http][hostile]") {
  const outcome o = trickled(get("/a", "X: " + std::string(5000, 'x') + "\r\n"), 100ms);
  CHECK(o.answer == plain("408 Request Timeout", "the request took too long\n", true));
  CHECK(o.took >= 10s);
  CHECK(o.took < 10'200ms);
}

TEST_CASE("server gives a whole body thirty seconds", "[http][hostile]") {
  const outcome o = trickled(
      "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n" + std::string(60000, 'x'), 20ms);
  CHECK(status_line(o.answer) == "HTTP/1.1 408 Request Timeout");
  CHECK(o.took >= 30s);
  CHECK(o.took < 32s);
}

TEST_CASE("server closes an idle connection without a word", "[http][hostile]") {
  test_loop loop(options_of_run());
  server s(ok, fixed_date());
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send(get("/a"));
    const auto begin = loop.now();
    const std::string answer = co_await c.rest();
    CHECK(answer == plain("200 OK", "/a"));
    CHECK(loop.now() - begin >= 75s);
    CHECK(loop.now() - begin < 76s);
    co_await c.served;
  });
  CHECK(s.counters().timeouts == 1);
}

TEST_CASE("server gives up on a client that does not read", "[http][hostile]") {
  test_loop loop(options_of_run());
  server s(large, fixed_date());
  loop.run([&]() -> promise<> {
    client c(s);
    const auto begin = loop.now();
    co_await c.send(get("/a"));
    co_await c.served;
    CHECK(loop.now() - begin >= 60s);
    CHECK(loop.now() - begin < 130s);
  });
  CHECK(s.counters().timeouts == 1);
  CHECK(s.counters().sent_bytes < 200'000);
}

TEST_CASE("server is patient with a client that reads slowly", "[http][hostile]") {
  test_loop loop(options_of_run());
  server s(large, fixed_date());
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send(get("/a"));
    std::size_t got = 0;
    while (got < 10'000'000) {
      co_await sleep_for(5s);
      const std::string piece = co_await c.some(64 * 1024);
      REQUIRE(!piece.empty());
      got += piece.size();
    }
  });
  CHECK(s.counters().timeouts == 0);
}

TEST_CASE("server survives clients that go away at any time", "[http][hostile]") {
  const std::string text =
      get("/a") + "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789" + get("/c");
  for (std::size_t size = 0; size <= text.size(); ++size) {
    test_loop loop(options_of_run());
    server s(ok, fixed_date());
    loop.run([&]() -> promise<> {
      client c(s);
      if (size > 0) co_await c.send(text.substr(0, size));
      c.stream->cancel();
      co_await c.served;
    });
    REQUIRE(s.counters().active_connections == 0);
    REQUIRE(s.counters().timeouts == 0);
  }
}

TEST_CASE("server survives a client that closes while it is written to", "[http][hostile]") {
  test_loop loop(options_of_run());
  server s(large, fixed_date());
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send(get("/a"));
    const std::string first = co_await c.some(1000);
    c.stream->close();
    co_await c.served;
  });
  CHECK(s.counters().timeouts == 0);
}

TEST_CASE("server reads on for a while after it has refused", "[http][hostile]") {
  test_loop loop(options_of_run());
  server s(ok, fixed_date());
  loop.run([&]() -> promise<> {
    client c(s, 1024);
    promise<> sending = trickle(c, "GET / HTTP/1.1\n" + std::string(400, 'x'), 10ms);
    promise<std::string> reading = c.rest();
    const std::string answer = co_await reading;
    CHECK(status_line(answer) == "HTTP/1.1 400 Bad Request");
    co_await sending;
    co_await c.served;
    CHECK(loop.now().time_since_epoch() < 5s);
  });
}

TEST_CASE("server holds no more of a pipeline than its buffers", "[http][hostile]") {
  test_loop loop(options_of_run());
  server s(large, fixed_date());
  loop.run([&]() -> promise<> {
    client c(s);
    std::string many;
    for (int i = 0; i < 20'000; ++i) many += get("/a");
    promise<> sending = c.send(many);  // nobody reads what it asks for
    co_await sleep_for(1s);
    CHECK(sending.is_pending());
    CHECK(s.counters().received_bytes <= 16 * 1024);
    CHECK(s.counters().requests == 1);
    cancel(sending);
    c.stream->cancel();
    co_await c.served;
  });
}

TEST_CASE("server turns away connections over its limit", "[http][hostile]") {
  server_options options = fixed_date();
  options.most_connections = 2;
  test_loop loop(options_of_run());
  server s(ok, options);
  loop.run([&]() -> promise<> {
    client a(s);
    client b(s);
    client over(s);
    const std::string refusal = co_await over.rest();
    CHECK(refusal == head("503 Service Unavailable",
                          "Content-Length: 21\r\nConnection: close\r\nRetry-After: 1\r\n"
                          "Content-Type: text/plain; charset=utf-8\r\n") +
                         "too many connections\n");
    over.stream->close();
    co_await over.served;
    a.stream->close();
    co_await a.served;
    client next(s);
    co_await next.send(get("/n"));
    const std::string answer = co_await next.some();
    CHECK(answer == plain("200 OK", "/n"));
  });
  CHECK(s.counters().refused_connections == 1);
  CHECK(s.counters().connections == 4);
}

TEST_CASE("server drops what comes while it turns away too many", "[http][hostile]") {
  server_options options = fixed_date();
  options.most_connections = 1;
  test_loop loop(options_of_run());
  server s(ok, options);
  loop.run([&]() -> promise<> {
    std::vector<client> all;
    for (int i = 0; i < 1000; ++i) all.emplace_back(s);
    int told = 0;
    for (std::size_t i = 1; i < all.size(); ++i) {
      const std::string refusal = co_await all[i].rest();
      if (!refusal.empty()) ++told;
    }
    CHECK(told >= 64);
    CHECK(told < 200);
    CHECK(all[0].served.is_pending());
  });
}

TEST_CASE("server resets a connection whose body broke off", "[http][hostile]") {
  test_loop loop(options_of_run());
  const auto broken = [](const request&) {
    response r;
    r.stream = [] { return fermata::rejected<shared_bytes>(fermata::error("no more")); };
    return ready(std::move(r));
  };
  server s(broken, fixed_date());
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send("GET / HTTP/1.0\r\n\r\n");
    bool reset = false;
    try {
      const std::string answer = co_await c.rest();
    } catch (const fermata::error&) {
      reset = true;
    }
    CHECK(reset);
  });
}

TEST_CASE("server refuses limits that no request fits in", "[http][hostile]") {
  test_loop loop(options_of_run());
  server_options options;
  options.limits.header_bytes = 1;
  CHECK_THROWS_AS(server(ok, options), fermata::contract_error);
}
