// SPDX-License-Identifier: MIT
// The end of a server, and what it accepts before it.

#include "server_support.hpp"
#include "support/policy.hpp"

#include <fermata/http/server.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>

using fermata::cancelled;
using fermata::make_promise;
using fermata::promise;
using fermata::ready;
using fermata::sleep_for;
using fermata::test_loop;
using fermata::http::request;
using fermata::http::response;
using fermata::http::server;
using fermata::http::text_response;
using fermata::http::test::client;
using fermata::http::test::fixed_date;
using fermata::http::test::get;
using fermata::http::test::plain;
using fermata::testing::options_of_run;
using namespace std::chrono_literals;

namespace {

promise<response> ok(const request& r) { return ready(text_response(200, r.path())); }

promise<response> slow(const request& r) {
  co_await sleep_for(1s);
  co_return text_response(200, r.path());
}

}  // namespace

TEST_CASE("shutdown of a server without connections is done at once", "[http][shutdown]") {
  test_loop loop(options_of_run());
  server s(ok);
  loop.run([&] { return s.shutdown(1s); });
  CHECK(loop.now().time_since_epoch() < 1ms);
}

TEST_CASE("shutdown closes idle connections at once", "[http][shutdown]") {
  test_loop loop(options_of_run());
  server s(ok, fixed_date());
  loop.run([&]() -> promise<> {
    client fresh(s);
    client used(s);
    co_await used.send(get("/a"));
    const std::string answer = co_await used.some();
    CHECK(answer == plain("200 OK", "/a"));
    co_await s.shutdown(10s);
    const std::string nothing = co_await fresh.rest();
    CHECK(nothing.empty());
    CHECK(used.served.is_resolved());
  });
  CHECK(loop.now().time_since_epoch() < 1ms);
}

TEST_CASE("shutdown lets a request end and closes behind it", "[http][shutdown]") {
  test_loop loop(options_of_run());
  server s(slow, fixed_date());
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send(get("/a") + get("/never"));
    co_await sleep_for(500ms);
    promise<> ending = s.shutdown(10s);
    const std::string answer = co_await c.rest();
    CHECK(answer == plain("200 OK", "/a", true));
    c.stream->close();
    co_await ending;
  });
  CHECK(s.counters().requests == 1);
  CHECK(loop.now().time_since_epoch() < 1100ms);
}

TEST_CASE("shutdown lets a request come in that has begun", "[http][shutdown]") {
  test_loop loop(options_of_run());
  server s(ok, fixed_date());
  loop.run([&]() -> promise<> {
    client c(s);
    const std::string text = get("/a");
    co_await c.send(text.substr(0, 10));
    co_await sleep_for(1ms);
    promise<> ending = s.shutdown(10s);
    co_await sleep_for(1ms);
    CHECK(ending.is_pending());
    co_await c.send(text.substr(10));
    const std::string answer = co_await c.rest();
    CHECK(answer == plain("200 OK", "/a", true));
    co_await ending;
  });
}

TEST_CASE("shutdown cancels handlers when its patience ends", "[http][shutdown]") {
  test_loop loop(options_of_run());
  bool was_cancelled = false;
  const auto held = [&](const request&) -> promise<response> {
    return fermata::never<response>().catch_([&](std::exception_ptr e) {
      was_cancelled = fermata::is_cancelled(e);
      return fermata::rejected<response>(e);
    });
  };
  server s(held, fixed_date());
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send(get("/a"));
    co_await sleep_for(1ms);
    const auto begin = loop.now();
    co_await s.shutdown(5s);
    CHECK(loop.now() - begin >= 5s);
    CHECK(loop.now() - begin < 5100ms);
    CHECK(c.served.is_resolved());
  });
  CHECK(was_cancelled);
  CHECK(s.counters().active_connections == 0);
}

TEST_CASE("shutdown cuts a client that does not read", "[http][shutdown]") {
  const auto large = [](const request&) {
    return ready(text_response(200, std::string(1'000'000, 'x')));
  };
  test_loop loop(options_of_run());
  server s(large, fixed_date());
  loop.run([&]() -> promise<> {
    client c(s);
    co_await c.send(get("/a"));
    co_await sleep_for(1ms);
    co_await s.shutdown(5s);
    CHECK(c.served.is_resolved());
  });
}

TEST_CASE("a server that has shut down serves nobody", "[http][shutdown]") {
  test_loop loop(options_of_run());
  server s(ok, fixed_date());
  loop.run([&]() -> promise<> {
    co_await s.shutdown(1s);
    client c(s);
    const std::string answer = co_await c.rest();
    CHECK(answer.empty());
    co_await s.shutdown(1s);
  });
}

TEST_CASE("a server that is destroyed cancels its connections", "[http][shutdown]") {
  test_loop loop(options_of_run());
  loop.run([&]() -> promise<> {
    std::optional<server> s(std::in_place, slow, fixed_date());
    client c(*s);
    co_await c.send(get("/a"));
    co_await sleep_for(1ms);
    s.reset();
    co_await c.served;
  });
  CHECK(loop.now().time_since_epoch() < 100ms);
}

TEST_CASE("accept_from waits ever longer while accepting fails", "[http][shutdown]") {
  test_loop loop(options_of_run());
  server s(ok, fixed_date());
  loop.run([&]() -> promise<> {
    s.accept_from([] {
      return fermata::rejected<std::unique_ptr<fermata::byte_stream>>(
          fermata::uv_error(UV_EMFILE, "cannot accept on memory"));
    });
    co_await sleep_for(10s);
    CHECK(s.counters().accept_failures >= 14);
    CHECK(s.counters().accept_failures <= 18);
    co_await s.shutdown(1s);
    const auto failures = s.counters().accept_failures;
    co_await sleep_for(10s);
    CHECK(s.counters().accept_failures == failures);
  });
}

TEST_CASE("accept_from serves on after a failure", "[http][shutdown]") {
  test_loop loop(options_of_run());
  server s(ok, fixed_date());
  auto [near, far] = fermata::memory_stream_pair();
  loop.run([&]() -> promise<> {
    int calls = 0;
    s.accept_from([&, &far = far]() -> promise<std::unique_ptr<fermata::byte_stream>> {
      ++calls;
      if (calls == 1) throw fermata::error("cannot accept");
      if (calls == 2) return ready(std::move(far));
      return fermata::never<std::unique_ptr<fermata::byte_stream>>();
    });
    co_await fermata::write_text(*near, get("/a"));
    const std::string answer = co_await fermata::http::test::read_some(*near, 4096);
    CHECK(answer == plain("200 OK", "/a"));
    co_await s.shutdown(1s);
  });
}
