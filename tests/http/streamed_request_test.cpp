// SPDX-License-Identifier: MIT
// Bodies of requests that handlers read while they come.

#include "server_support.hpp"
#include "support/policy.hpp"

#include <fermata/http/incoming_body.hpp>
#include <fermata/promise/pause.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>

using fermata::promise;
using fermata::ready;
using fermata::test_loop;
using fermata::http::body_of;
using fermata::http::body_rule;
using fermata::http::body_source;
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

server_options streaming(std::uint64_t most = 1 << 20) {
  server_options o = fixed_date();
  o.rule_of_body = [most](const request& r) {
    body_rule rule;
    rule.streamed = r.path() != "/collected";
    rule.most_bytes = most;
    return rule;
  };
  return o;
}

// Says how much came, and how the handler saw it.
promise<response> count_body(const request& r) {
  const body_source source = body_of(r);
  std::size_t size = 0;
  for (;;) {
    promise<shared_bytes> reading = source();
    const shared_bytes piece = co_await reading;
    if (piece.empty()) break;
    size += piece.size();
  }
  co_return text_response(200, std::to_string(size) + (r.incoming() != nullptr ? " came" : " was"));
}

std::string post(const std::string& path, const std::string& body, const std::string& fields = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n" + fields + "\r\n" + body;
}

std::string asked(fermata::http::handler h, const std::string& text, server_options o) {
  test_loop loop(options_of_run());
  server s(std::move(h), std::move(o));
  return loop.run([&] { return ask(s, text); });
}

}  // namespace

TEST_CASE("handler reads a body as it comes", "[http][server][body]") {
  const std::string large(500'000, 'x');
  CHECK(asked(count_body,
              post("/a", large) + get("/b") + post("/collected", "four") +
                  "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" +
                  post("/d", "x"),
              streaming()) == plain("200 OK", "500000 came") + plain("200 OK", "0 was") +
                                  plain("200 OK", "4 was") + plain("200 OK", "5 came") +
                                  plain("200 OK", "1 came"));
}

TEST_CASE("client is read no faster than the handler reads", "[http][server][body]") {
  test_loop loop(options_of_run());
  auto [gate, open] = fermata::make_promise<>();
  const auto waits = [gate = gate](const request& r) -> promise<response> {
    co_await gate;
    promise<response> counting = count_body(r);
    co_return co_await std::move(counting);
  };
  server s(waits, streaming());
  loop.run([&]() -> promise<> {
    client c(s, 32 * 1024);
    promise<> sending = c.send(post("/a", std::string(300'000, 'x')));
    co_await fermata::sleep_for(1s);
    CHECK(sending.is_pending());
    CHECK(s.counters().received_bytes <= 32 * 1024);
    CHECK(s.counters().active_requests == 1);
    open.resolve();
    co_await sending;
    const std::string answer = co_await c.some();
    CHECK(answer == plain("200 OK", "300000 came"));
    CHECK(s.counters().active_requests == 0);
  });
}

TEST_CASE("server refuses a streamed body over its limit", "[http][server][body]") {
  const std::string refused = plain("413 Content Too Large", "the body is too large\n", true);
  CHECK(asked(count_body, post("/a", std::string(101, 'x')), streaming(100)) == refused);
  CHECK(asked(count_body, post("/a", std::string(100, 'x')), streaming(100)) ==
        plain("200 OK", "100 came"));
  const std::string chunks =
      "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n60\r\n" +
      std::string(0x60, 'x') + "\r\n5\r\n12345\r\n0\r\n\r\n";
  CHECK(asked(count_body, chunks, streaming(100)) == refused);
  CHECK(asked(count_body, chunks, streaming(101)) == plain("200 OK", "101 came"));
}

TEST_CASE("server refuses a streamed body whose framing is broken", "[http][server][body]") {
  CHECK(asked(count_body,
              "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + get("/b"),
              streaming()) == plain("400 Bad Request", "a chunk line is malformed\n", true));
}

TEST_CASE("server says continue when the handler reads", "[http][server][body]") {
  test_loop loop(options_of_run());
  const auto choosy = [](const request& r) {
    return r.path() == "/no" ? ready(text_response(403, "no")) : count_body(r);
  };
  server s(choosy, streaming());
  const std::string fields =
      " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send("POST /yes" + fields);
    const std::string interim = co_await c.some();
    CHECK(interim == "HTTP/1.1 100 Continue\r\n\r\n");
    co_await c.send("hi");
    const std::string answer = co_await c.some();
    CHECK(answer == plain("200 OK", "2 came"));
    co_await c.send("POST /no" + fields);
    const std::string refused = co_await c.rest();
    CHECK(refused == plain("403 Forbidden", "no", true));
  });
}

TEST_CASE("server keeps a connection whose body was left, where little is left",
          "[http][server][body]") {
  const auto ignores = [](const request&) { return ready(text_response(200, "ignored")); };
  CHECK(asked(ignores, post("/a", std::string(100'000, 'x')) + post("/b", "y"), streaming()) ==
        plain("200 OK", "ignored") + plain("200 OK", "ignored"));
  CHECK(asked(ignores, post("/a", std::string(600'000, 'x')) + post("/b", "y"), streaming()) ==
        plain("200 OK", "ignored"));
}

TEST_CASE("server tells nobody twice who leaves a body half sent", "[http][server][body]") {
  test_loop loop(options_of_run());
  server s([](const request&) { return ready(text_response(200, "early")); }, streaming());
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345");
    const std::string answer = co_await c.rest();
    CHECK(answer == plain("200 OK", "early"));
  });
  CHECK(s.counters().timeouts == 1);
}

TEST_CASE("handler hears that its client has left", "[http][server][body]") {
  test_loop loop(options_of_run());
  std::string why;
  const auto note = [&why](const request& r) -> promise<response> {
    try {
      promise<response> counting = count_body(r);
      co_return co_await std::move(counting);
    } catch (const fermata::error& e) {
      why = e.what();
      throw;
    }
  };
  server s(note, streaming());
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345");
    co_await c.stream->shutdown();
    co_await c.served;
  });
  CHECK(why == "cannot read the body: the client has left");
  CHECK(s.counters().handler_failures == 0);
  CHECK(s.counters().active_requests == 0);
}

TEST_CASE("client that trickles a streamed body is answered 408", "[http][server][body]") {
  test_loop loop(options_of_run());
  server_options o = streaming();
  o.body_time = 10s;
  server s(count_body, std::move(o));
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    promise<std::string> reading = c.rest();
    int sent = 0;
    while (reading.is_pending()) {
      promise<> sending = c.send("x");
      try {
        co_await sending;
      } catch (const fermata::error&) {
        break;
      }
      ++sent;
      co_await fermata::sleep_for(1s);
    }
    CHECK(sent >= 9);
    CHECK(sent <= 14);  // ten seconds in all, however evenly it sends
    const std::string answer = co_await reading;
    CHECK(answer == plain("408 Request Timeout", "the request took too long\n", true));
  });
}

TEST_CASE("handler may send back what comes", "[http][server][body]") {
  const auto echo = [](const request& r) {
    response out;
    out.stream = body_of(r);
    out.stream_bytes = r.content_length();
    return ready(std::move(out));
  };
  const std::string text(200'000, 'x');
  test_loop loop(options_of_run());
  server s(echo, streaming());
  const std::string answer = loop.run([&]() -> promise<std::string> {
    client c(s, 16 * 1024);
    promise<std::string> reading = c.rest();
    co_await c.send(post("/a", text) + post("/b", "more"));
    co_await c.stream->shutdown();
    co_return co_await std::move(reading);
  });
  CHECK((answer == head("200 OK", "Content-Length: 200000\r\n") + text +
                       head("200 OK", "Content-Length: 4\r\n") + "more"));
}

TEST_CASE("a read that a handler leaves behind ends with its answer", "[http][server][body]") {
  test_loop loop(options_of_run());
  promise<shared_bytes> left;
  const auto leaves = [&left](const request& r) {
    const body_source source = body_of(r);
    left = source();
    return ready(text_response(200, "left"));
  };
  server s(leaves, streaming());
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
    const std::string answer = co_await c.some();
    CHECK(answer == plain("200 OK", "left"));
    CHECK(left.is_rejected());
    static_cast<void>(left.error());
    co_await c.send("12345" + post("/b", "x"));
    const std::string next = co_await c.some();
    CHECK(next == plain("200 OK", "left"));
  });
}
