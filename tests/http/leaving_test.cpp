// SPDX-License-Identifier: MIT
// Clients that leave while a handler is pending, and those that only look as if they did.

#include "server_support.hpp"
#include "support/policy.hpp"

#include <fermata/http/incoming_body.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/tcp.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <utility>

using fermata::cancelled;
using fermata::make_promise;
using fermata::promise;
using fermata::ready;
using fermata::test_loop;
using fermata::http::answered_request;
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
using fermata::http::test::plain;
using fermata::testing::options_of_run;
using namespace std::chrono_literals;

namespace {

// Waits for ever, and notes that it was cancelled.
promise<response> wait_for_ever(bool* was_cancelled) {
  promise<> waiting = fermata::never();
  try {
    co_await waiting;
  } catch (const cancelled&) {
    *was_cancelled = true;
    throw;
  }
  co_return response();
}

promise<shared_bytes> give_after_a_second(std::string piece) {
  co_await fermata::sleep_for(1s);
  co_return shared_bytes(std::move(piece));
}

promise<> until_active(const server& s, std::uint64_t requests = 1) {
  while (s.counters().active_requests < requests) co_await fermata::pause();
}

}  // namespace

TEST_CASE("a handler whose client has left is cancelled", "[http][leaving]") {
  test_loop loop(options_of_run());
  bool was_cancelled = false;
  int told = 0;
  server_options o = fixed_date();
  o.on_answered = [&told](const answered_request& r) { told = r.status; };
  server s([&](const request&) { return wait_for_ever(&was_cancelled); }, std::move(o));
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send(get("/a"));
    co_await until_active(s);
    c.stream->close();
    co_await c.served;
  });
  CHECK(was_cancelled);
  CHECK(told == 499);
  CHECK(s.counters().abandoned == 1);
  CHECK(s.counters().active_requests == 0);
  CHECK(s.counters().active_connections == 0);
  CHECK(s.counters().handler_failures == 0);
}

TEST_CASE("a client that ends its side is answered, but not for ever", "[http][leaving]") {
  test_loop loop(options_of_run());
  server_options o = fixed_date();
  o.half_closed_time = 10s;
  const auto late = [](const request& r) -> promise<response> {
    co_await fermata::sleep_for(r.path() == "/late" ? 9s : 11s);
    co_return text_response(200, r.path());
  };
  server s(late, std::move(o));
  loop.run([&]() -> promise<> {
    const std::string answer = co_await ask(s, get("/late"));
    CHECK(answer == plain("200 OK", "/late"));
    client c(s);
    co_await c.send(get("/later"));
    co_await c.stream->shutdown();
    co_await c.served;
  });
  CHECK(s.counters().abandoned == 1);
  CHECK(s.counters().responses[2] == 1);
}

TEST_CASE("a handler hears at once of a connection that is reset", "[http][leaving]") {
  fermata::event_loop loop(options_of_run());
  bool was_cancelled = false;
  server_options o = fixed_date();
  o.half_closed_time = 24h;
  std::unique_ptr<server> s;
  loop.run([&]() -> promise<> {
    s = std::make_unique<server>([&](const request&) { return wait_for_ever(&was_cancelled); },
                                 std::move(o));
    const std::string at = s->listen("127.0.0.1:0");
    const auto port = static_cast<std::uint16_t>(std::stoi(at.substr(at.rfind(':') + 1)));
    promise<std::unique_ptr<fermata::byte_stream>> connecting =
        fermata::tcp_connect("127.0.0.1", port);
    const std::unique_ptr<fermata::byte_stream> stream = co_await std::move(connecting);
    co_await fermata::write_text(*stream, get("/a"));
    co_await until_active(*s);
    stream->cancel();
    while (s->counters().active_connections > 0) co_await fermata::pause();
    s.reset();
  });
  CHECK(was_cancelled);
}

TEST_CASE("what is pipelined behind a pending request is no end, and is answered",
          "[http][leaving]") {
  test_loop loop(options_of_run());
  auto [answer, settle] = make_promise<response>();
  const auto handle = [&answer = answer](const request& r) {
    return r.path() == "/held" ? answer : ready(text_response(200, r.path()));
  };
  server s(handle, fixed_date());
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send(get("/held"));
    co_await until_active(s);
    const std::string next = get("/next");
    co_await c.send(next.substr(0, 10));  // is read ahead
    while (s.counters().received_bytes < get("/held").size() + 10) co_await fermata::pause();
    co_await c.send(next.substr(10));
    settle.resolve(text_response(200, "held"));
    std::string all;
    const std::string expected = plain("200 OK", "held") + plain("200 OK", "/next");
    while (all.size() < expected.size()) {
      const std::string piece = co_await c.some();
      all += piece;
    }
    CHECK(all == expected);
    co_await c.send(get("/more"));
    const std::string more = co_await c.some();
    CHECK(more == plain("200 OK", "/more"));
  });
  CHECK(s.counters().abandoned == 0);
}

TEST_CASE("more may be pipelined behind a pending request than is read ahead", "[http][leaving]") {
  test_loop loop(options_of_run());
  auto [answer, settle] = make_promise<response>();
  const auto handle = [&answer = answer](const request& r) {
    return r.path() == "/held" ? answer : ready(text_response(200, r.path()));
  };
  server s(handle, fixed_date());
  std::string text;
  std::string expected = plain("200 OK", "held");
  for (int i = 0; i < 1000; ++i) {
    text += get("/" + std::to_string(i));
    expected += plain("200 OK", "/" + std::to_string(i));
  }
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send(get("/held"));
    co_await until_active(s);
    promise<std::string> reading = c.rest();
    promise<> sending = c.send(text);
    const std::size_t most = s.counters().received_bytes + 16 * 1024;
    while (s.counters().received_bytes < most) co_await fermata::pause();
    CHECK(s.counters().received_bytes == most);
    settle.resolve(text_response(200, "held"));
    co_await sending;
    co_await c.stream->shutdown();
    const std::string all = co_await std::move(reading);
    CHECK(all == expected);
  });
  CHECK(s.counters().abandoned == 0);
}

TEST_CASE("who leaves takes no answer from others who wait for it", "[http][leaving]") {
  test_loop loop(options_of_run());
  auto [answer, settle] = make_promise<response>();
  server s([&answer = answer](const request&) { return answer; }, fixed_date());
  loop.run([&]() -> promise<> {
    client leaves(s);
    client stays(s);
    co_await leaves.send(get("/a"));
    co_await stays.send(get("/a"));
    co_await until_active(s, 2);
    leaves.stream->close();
    co_await leaves.served;
    settle.resolve(text_response(200, "both"));
    const std::string got = co_await stays.some();
    CHECK(got == plain("200 OK", "both"));
  });
  CHECK(s.counters().abandoned == 1);
}

TEST_CASE("a handler that has read a streamed body hears when its client leaves",
          "[http][leaving][body]") {
  test_loop loop(options_of_run());
  bool was_cancelled = false;
  server_options o = fixed_date();
  o.rule_of_body = [](const request&) {
    body_rule rule;
    rule.streamed = true;
    return rule;
  };
  bool has_read = false;
  const auto handle = [&](const request& r) -> promise<response> {
    const body_source pieces = body_of(r);
    for (bool more = true; more;) {
      const shared_bytes piece = co_await pieces();
      more = !piece.empty();
    }
    has_read = true;
    promise<response> waiting = wait_for_ever(&was_cancelled);
    co_return co_await std::move(waiting);
  };
  server s(handle, std::move(o));
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345");
    co_await until_active(s);
    co_await c.send("67890");
    while (!has_read) co_await fermata::pause();
    c.stream->close();
    co_await c.served;
  });
  CHECK(was_cancelled);
  CHECK(s.counters().abandoned == 1);
}

TEST_CASE("a stream that is for its client alone ends with it", "[http][leaving]") {
  test_loop loop(options_of_run());
  server_options o = fixed_date();
  o.half_closed_time = 10s;
  bool was_cancelled = false;
  int given = 0;
  const auto handle = [&](const request& r) {
    response out;
    out.ends_with_client = r.path() == "/watched";
    out.stream = [&]() -> promise<shared_bytes> {
      if (given++ == 0) return ready(shared_bytes(std::string("first")));
      return wait_for_ever(&was_cancelled).map([](const response&) { return shared_bytes(); });
    };
    return ready(std::move(out));
  };
  server s(handle, std::move(o));
  SECTION("which closes") {
    loop.run([&]() -> promise<> {
      client c(s);
      co_await c.send(get("/watched"));
      co_await c.some();
      c.stream->close();
      co_await c.served;
    });
  }
  SECTION("which ends its side, behind what it has pipelined") {
    loop.run([&]() -> promise<> {
      client c(s);
      co_await c.send(get("/watched") + get("/next"));
      co_await c.stream->shutdown();
      co_await c.served;
    });
  }
  CHECK(was_cancelled);
  CHECK(given == 2);
  CHECK(s.counters().active_connections == 0);
  CHECK(s.counters().handler_failures == 0);
}

TEST_CASE("a stream that ends before its client leaves the connection as it was",
          "[http][leaving]") {
  test_loop loop(options_of_run());
  const auto handle = [](const request& r) {
    response out = text_response(200, r.path());
    if (r.path() != "/watched") return ready(std::move(out));
    out.ends_with_client = true;
    out.stream = [given = 0]() mutable { return give_after_a_second(given++ == 0 ? "first" : ""); };
    return ready(std::move(out));
  };
  server s(handle, fixed_date());
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send(get("/watched"));
    std::string all;
    while (!all.ends_with("0\r\n\r\n")) {
      const std::string piece = co_await c.some();
      all += piece;
    }
    co_await c.send(get("/next"));
    const std::string next = co_await c.some();
    CHECK(next == plain("200 OK", "/next"));
  });
}
