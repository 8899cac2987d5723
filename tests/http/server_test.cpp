// SPDX-License-Identifier: MIT
// What a well-behaved client sees.

#include "server_support.hpp"
#include "support/policy.hpp"

#include <fermata/http/server.hpp>
#include <fermata/promise/pause.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

using fermata::make_promise;
using fermata::promise;
using fermata::ready;
using fermata::resolver;
using fermata::test_loop;
using fermata::http::request;
using fermata::http::response;
using fermata::http::router;
using fermata::http::server;
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

promise<response> echo(const request& r) {
  return ready(text_response(200, std::string(r.method()) + " " + r.path() + " " + r.body()));
}

promise<response> late_echo(const request& r) {
  co_await fermata::sleep_for(1ms);
  co_return text_response(200, "late " + r.path());
}

// Counts down from 3; every piece comes after a wait.
promise<shared_bytes> countdown(std::shared_ptr<int> left) {
  co_await fermata::sleep_for(1ms);
  co_return *left == 0 ? shared_bytes() : shared_bytes(std::to_string((*left)--) + "\n");
}

promise<response> stream_three(const request&) {
  response r;
  auto left = std::make_shared<int>(3);
  r.stream = [left] { return countdown(left); };
  return ready(std::move(r));
}

std::string asked(fermata::http::handler h, const std::string& text) {
  test_loop loop(options_of_run());
  server s(std::move(h), fixed_date());
  return loop.run([&] { return ask(s, text); });
}

}  // namespace

TEST_CASE("server answers a request", "[http][server]") {
  CHECK(asked(echo, get("/a")) == plain("200 OK", "GET /a "));
}

TEST_CASE("server keeps the connection and answers in order", "[http][server]") {
  CHECK(asked(echo, get("/a") + get("/b") + get("/c")) ==
        plain("200 OK", "GET /a ") + plain("200 OK", "GET /b ") + plain("200 OK", "GET /c "));
}

TEST_CASE("server answers pipelined requests in order where handlers wait", "[http][server]") {
  router to;
  to.on("GET", "/late", late_echo).on("GET", "/now", echo);
  CHECK(asked(to, get("/now") + get("/late") + get("/now")) == plain("200 OK", "GET /now ") +
                                                                   plain("200 OK", "late /late") +
                                                                   plain("200 OK", "GET /now "));
}

TEST_CASE("server answers 1000 pipelined requests", "[http][server]") {
  std::string text;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    text += get("/" + std::to_string(i));
    expected += plain("200 OK", "GET /" + std::to_string(i) + " ");
  }
  test_loop loop(options_of_run());
  server s(echo, fixed_date());
  const std::string answer = loop.run([&]() -> promise<std::string> {
    client c(s);
    promise<std::string> reading = c.rest();
    co_await c.send(text);
    co_await c.stream->shutdown();
    co_return co_await std::move(reading);
  });
  CHECK(answer == expected);
  CHECK(s.counters().requests == 1000);
  CHECK(s.counters().responses[2] == 1000);
  CHECK(s.counters().sent_bytes == expected.size());
  CHECK(s.counters().received_bytes == text.size());
}

TEST_CASE("server writes what is ready before it waits for a handler", "[http][server]") {
  test_loop loop(options_of_run());
  auto [answer, settle] = make_promise<response>();
  router to;
  to.on("GET", "/now", echo);
  to.on("GET", "/held", [&answer = answer](const request&) { return answer; });
  server s(to, fixed_date());
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send(get("/now") + get("/held"));
    const std::string first = co_await c.some();
    CHECK(first == plain("200 OK", "GET /now "));
    settle.resolve(text_response(200, "held"));
    const std::string second = co_await c.some();
    CHECK(second == plain("200 OK", "held"));
  });
}

TEST_CASE("server collects bodies of both kinds", "[http][server]") {
  CHECK(asked(echo,
              "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
              "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
              "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n") ==
        plain("200 OK", "POST /b hello") + plain("200 OK", "POST /c abcde"));
}

TEST_CASE("server answers HEAD with the head of GET", "[http][server]") {
  CHECK(asked(echo, "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n" + get("/b")) ==
        head("200 OK", "Content-Length: 8\r\nContent-Type: text/plain; charset=utf-8\r\n") +
            plain("200 OK", "GET /b "));
}

TEST_CASE("server ends the connection as the client wishes", "[http][server]") {
  CHECK(asked(echo, get("/a", "Connection: close\r\n") + get("/b")) ==
        plain("200 OK", "GET /a ", true));
  CHECK(asked(echo, "GET /a HTTP/1.0\r\n\r\n" + get("/b")) == plain("200 OK", "GET /a ", true));
  CHECK(asked(echo, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get("/b")) ==
        head("200 OK",
             "Content-Length: 7\r\nConnection: keep-alive\r\n"
             "Content-Type: text/plain; charset=utf-8\r\n") +
            "GET /a " + plain("200 OK", "GET /b "));
}

TEST_CASE("server ends the connection as the handler wishes", "[http][server]") {
  const auto last = [](const request&) {
    response r = text_response(200, "bye");
    r.close = true;
    return ready(std::move(r));
  };
  CHECK(asked(last, get("/a") + get("/b")) == plain("200 OK", "bye", true));
}

TEST_CASE("server says continue to a client that waits", "[http][server]") {
  test_loop loop(options_of_run());
  server s(echo, fixed_date());
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send(
        "PUT /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    const std::string interim = co_await c.some();
    CHECK(interim == "HTTP/1.1 100 Continue\r\n\r\n");
    co_await c.send("hi");
    const std::string answer = co_await c.some();
    CHECK(answer == plain("200 OK", "PUT /a hi"));
  });
}

TEST_CASE("server says no continue where the body is there", "[http][server]") {
  CHECK(
      asked(echo,
            "PUT /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi") ==
      plain("200 OK", "PUT /a hi"));
}

TEST_CASE("server sends streams in chunks", "[http][server]") {
  CHECK(asked(stream_three, get("/s") + get("/s")) ==
        head("200 OK", "Transfer-Encoding: chunked\r\n") +
            "2\r\n3\n\r\n2\r\n2\n\r\n2\r\n1\n\r\n0\r\n\r\n" +
            head("200 OK", "Transfer-Encoding: chunked\r\n") +
            "2\r\n3\n\r\n2\r\n2\n\r\n2\r\n1\n\r\n0\r\n\r\n");
}

TEST_CASE("server ends streams to 1.0 clients with the connection", "[http][server]") {
  CHECK(asked(stream_three, "GET /s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") ==
        head("200 OK", "Connection: close\r\n") + "3\n2\n1\n");
}

TEST_CASE("server announces the length of a stream that knows it", "[http][server]") {
  const auto sized = [](const request&) {
    response r;
    auto left = std::make_shared<int>(3);
    r.stream = [left] { return countdown(left); };
    r.stream_bytes = 6;
    return ready(std::move(r));
  };
  CHECK(asked(sized, get("/s")) == head("200 OK", "Content-Length: 6\r\n") + "3\n2\n1\n");
  CHECK(asked(sized, "HEAD /s HTTP/1.1\r\nHost: h\r\n\r\n") ==
        head("200 OK", "Content-Length: 6\r\n"));
}

TEST_CASE("server sends a large body whole and without a copy of it", "[http][server]") {
  auto text = std::make_shared<const std::string>(5'000'000, 'x');
  const auto large = [&](const request&) {
    response r;
    r.body = shared_bytes(text);
    return ready(std::move(r));
  };
  test_loop loop(options_of_run());
  server s(large, fixed_date());
  const std::string answer = loop.run([&] { return ask(s, get("/l") + get("/l")); });
  const std::string one = head("200 OK", "Content-Length: 5000000\r\n") + *text;
  CHECK(answer.size() == 2 * one.size());
  CHECK((answer == one + one));
}

TEST_CASE("server answers 500 where a handler fails, and goes on", "[http][server]") {
  const auto failing = [](const request& r) -> promise<response> {
    if (r.path() == "/throw") throw std::runtime_error("thrown");
    if (r.path() == "/reject") return fermata::rejected<response>(std::runtime_error("rejected"));
    if (r.path() == "/status") return ready(response(42));
    return echo(r);
  };
  std::vector<std::string> lines;
  fermata::loop_options options = options_of_run();
  options.log = [&](fermata::log_level, std::string_view, std::string_view m) {
    lines.emplace_back(m);
  };
  test_loop loop(std::move(options));
  server s(failing, fixed_date());
  const std::string answer = loop.run(
      [&] { return ask(s, get("/throw") + get("/reject") + get("/status") + get("/ok")); });
  const std::string failed = plain("500 Internal Server Error", "internal server error\n");
  CHECK(answer == failed + failed + failed + plain("200 OK", "GET /ok "));
  CHECK(lines ==
        std::vector<std::string>{
            "handler failed method=GET path=/throw why=thrown",
            "handler failed method=GET path=/reject why=rejected",
            "handler failed method=GET path=/status why=the handler answered with status 42"});
  CHECK(s.counters().handler_failures == 3);
  CHECK(s.counters().responses[5] == 3);
}

TEST_CASE("server cuts a body whose source fails or lies", "[http][server]") {
  const auto lying = [](const request& r) {
    response out;
    auto left = std::make_shared<int>(3);
    out.stream = [left] { return countdown(left); };
    if (r.path() == "/short") out.stream_bytes = 7;
    if (r.path() == "/long") out.stream_bytes = 3;
    if (r.path() == "/fail")
      out.stream = [] { return fermata::rejected<shared_bytes>(std::runtime_error("no more")); };
    return ready(std::move(out));
  };
  for (const char* path : {"/short", "/long", "/fail"}) {
    CAPTURE(path);
    test_loop loop(options_of_run());
    server s(lying, fixed_date());
    loop.run([&]() -> promise<> {
      client c(s);
      co_await c.send(get(path) + get("/never"));
      co_await c.served;
    });
    CHECK(s.counters().requests == 1);
    CHECK(s.counters().handler_failures == 1);
    CHECK(s.counters().active_connections == 0);
  }
}

TEST_CASE("server answers what it has when the client half-closes", "[http][server]") {
  router to;
  to.on("GET", "/late", late_echo);
  CHECK(asked(to, get("/late")) == plain("200 OK", "late /late"));
  CHECK(asked(to, get("/late") + "GET /cut").substr(0, 15) == "HTTP/1.1 200 OK");
}

TEST_CASE("server declares what requests cost and looks at each", "[http][server][pause]") {
  fermata::loop_options options;
  options.when = fermata::policy::always();
  test_loop loop(std::move(options));
  server s(echo, fixed_date());
  std::string text;
  for (int i = 0; i < 1000; ++i) text += get("/a");
  const auto looks = loop.metrics().looks;
  loop.run([&] { return ask(s, text); });
  CHECK(loop.metrics().looks - looks >= 1000);
  CHECK(loop.now().time_since_epoch() >= 15ms);
}

TEST_CASE("server lets others run between the pieces of a stream", "[http][server][pause]") {
  fermata::loop_options options;
  options.when = fermata::policy::budget(100us);
  test_loop loop(std::move(options));
  const auto ready_stream = [](const request&) {
    response r;
    auto left = std::make_shared<int>(10'000);
    r.stream = [left] { return ready(shared_bytes(nullptr, (*left)-- > 0 ? "x" : "")); };
    return ready(std::move(r));
  };
  server s(ready_stream, fixed_date());
  loop.fail_on_stall(200us);
  const std::string answer = loop.run([&] { return ask(s, get("/s")); });
  CHECK(answer.size() > 10'000);
  CHECK(loop.now().time_since_epoch() >= 100ms);
}
