// SPDX-License-Identifier: MIT
#include "parse_support.hpp"

#include <fermata/http/request_parser.hpp>
#include <fermata/loop/error.hpp>

#include <catch2/catch.hpp>

#include <string>

using fermata::contract_error;
using fermata::http::http_version;
using fermata::http::parse_event;
using fermata::http::parser_limits;
using fermata::http::request;
using fermata::http::request_parser;
using fermata::http::test::parse;
using fermata::http::test::parse_request;
using fermata::http::test::parsed;

namespace {

const std::string get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string sized = "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
const std::string chunked =
    "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5;x=\"y\"\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n";

}  // namespace

TEST_CASE("request_parser reads a request without a body", "[http][parser]") {
  CHECK(parse(get).events == "GET /a; done; ");
}

TEST_CASE("request_parser reads a body of known length", "[http][parser]") {
  CHECK(parse(sized).events == "POST /b; hellodone; ");
}

TEST_CASE("request_parser reads chunks, extensions and trailers", "[http][parser]") {
  CHECK(parse(chunked).events == "POST /c; hello worlddone; ");
}

TEST_CASE("request_parser reads pipelined requests in pieces of any size", "[http][parser]") {
  const std::string text = get + sized + chunked + get + chunked + sized;
  const std::string events = parse(text).events;
  CHECK(events ==
        "GET /a; done; POST /b; hellodone; POST /c; hello worlddone; "
        "GET /a; done; POST /c; hello worlddone; POST /b; hellodone; ");
  for (std::size_t piece = 1; piece < 120; ++piece) {
    const parsed p = parse(text, piece);
    CAPTURE(piece, p.why);
    REQUIRE(p.events == events);
  }
}

TEST_CASE("request_parser leaves the bytes of the next request alone", "[http][parser]") {
  request_parser parser;
  parser.feed(get + get);
  REQUIRE(parser.next() == parse_event::head);
  REQUIRE(parser.next() == parse_event::done);
  CHECK(parser.buffered_bytes() == get.size());
  CHECK_FALSE(parser.is_idle());
}

TEST_CASE("request_parser is idle between requests and not within one", "[http][parser]") {
  request_parser parser;
  CHECK(parser.is_idle());
  parser.feed("G");
  CHECK(parser.next() == parse_event::need_more);
  CHECK_FALSE(parser.is_idle());
  parser.feed(get.substr(1));
  CHECK(parser.next() == parse_event::head);
  CHECK(parser.next() == parse_event::done);
  CHECK(parser.next() == parse_event::need_more);
  CHECK(parser.is_idle());
}

TEST_CASE("request_parser skips one empty line before a request and no more", "[http][parser]") {
  CHECK(parse("\r\n" + get + "\r\n" + get).events == "GET /a; done; GET /a; done; ");
  CHECK(parse("\r\n" + get, 1).events == "GET /a; done; ");
  CHECK(parse("\r\n\r\n" + get).status == 400);
}

TEST_CASE("request gives method, target, path, query and version", "[http][parser]") {
  const request r = parse_request("GET /a%20b/c?x=1&y=%2F HTTP/1.0\n");
  CHECK(r.method() == "GET");
  CHECK(r.target() == "/a%20b/c?x=1&y=%2F");
  CHECK(r.path() == "/a b/c");
  CHECK(r.query() == "x=1&y=%2F");
  CHECK(r.version() == http_version::v1_0);
  CHECK(r.authority() == "h");
}

TEST_CASE("request finds headers in any case and keeps their order", "[http][parser]") {
  const request r = parse_request("GET / HTTP/1.1\nX-A: 1\nx-b:\t two words \t\nX-a: 3\nX-C:\n");
  CHECK(r.find_header("x-A") == "1");
  CHECK(r.find_header("X-B") == "two words");
  CHECK(r.find_header("X-C") == "");
  CHECK(r.find_header("X-D") == std::nullopt);
  CHECK(r.count_headers("X-A") == 2);
  REQUIRE(r.header_count() == 5);
  CHECK(r.header(2).name == "X-a");
  CHECK(r.header(2).value == "3");
}

TEST_CASE("request survives being moved", "[http][parser]") {
  request r = parse_request("GET /p?q HTTP/1.1\n");
  const request moved = std::move(r);
  CHECK(moved.path() == "/p");
  CHECK(moved.query() == "q");
  CHECK(moved.find_header("host") == "h");
}

TEST_CASE("request keeps the connection as version and Connection say", "[http][parser]") {
  CHECK(parse_request("GET / HTTP/1.1\n").keep_alive());
  CHECK_FALSE(parse_request("GET / HTTP/1.1\nConnection: close\n").keep_alive());
  CHECK_FALSE(parse_request("GET / HTTP/1.1\nConnection: x, Close\n").keep_alive());
  CHECK_FALSE(parse_request("GET / HTTP/1.0\n").keep_alive());
  CHECK(parse_request("GET / HTTP/1.0\nConnection: Keep-Alive\n").keep_alive());
}

TEST_CASE("request says whether the client waits for 100 Continue", "[http][parser]") {
  CHECK(parse_request("PUT / HTTP/1.1\nExpect: 100-Continue\n").expects_continue());
  CHECK_FALSE(parse_request("PUT / HTTP/1.0\nExpect: 100-continue\n").expects_continue());
  CHECK_FALSE(parse_request("PUT / HTTP/1.1\n").expects_continue());
}

TEST_CASE("request takes its authority from an absolute target first", "[http][parser]") {
  const request r = parse_request("GET HTTP://example.org:81/p?q HTTP/1.1\n");
  CHECK(r.authority() == "example.org:81");
  CHECK(r.path() == "/p");
  CHECK(r.query() == "q");
  CHECK(parse_request("GET http://[::1]:80 HTTP/1.1\n").path() == "/");
  CHECK(parse_request("GET http://h?q HTTP/1.1\n").query() == "q");
}

TEST_CASE("request path has single slashes and decoded characters", "[http][parser]") {
  CHECK(parse_request("GET //a///b%2e%63/ HTTP/1.1\n").path() == "/a/b.c/");
  CHECK(parse_request("GET /a..b/.c/..d HTTP/1.1\n").path() == "/a..b/.c/..d");
  CHECK(parse_request("GET /%25 HTTP/1.1\n").path() == "/%");
  CHECK(parse_request("OPTIONS * HTTP/1.1\n").path() == "*");
}

TEST_CASE("request_parser collects bodies on demand", "[http][parser]") {
  request_parser parser;
  parser.feed(chunked);
  REQUIRE(parser.next() == parse_event::head);
  CHECK(parser.current().is_chunked());
  CHECK(parser.current().has_body());
  for (parse_event e = parser.next(); e == parse_event::body; e = parser.next())
    parser.collect_body();
  CHECK(parser.current().body() == "hello world");
}

TEST_CASE("request_parser keeps its buffer within the header limit", "[http][parser]") {
  parser_limits limits;
  limits.header_bytes = 8192;
  limits.body_bytes = 1 << 20;
  request_parser parser(limits);
  std::string text = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n";
  text += std::string(1000000, 'x') + get;
  std::size_t body = 0;
  int done = 0;
  for (std::string_view rest = text; !rest.empty() || !parser.is_idle();) {
    const parse_event e = parser.next();
    REQUIRE(e != parse_event::failed);
    if (e == parse_event::body) body += parser.body_piece().size();
    if (e == parse_event::done) ++done;
    if (e == parse_event::need_more) rest.remove_prefix(parser.feed(rest));
    REQUIRE(parser.capacity() <= limits.header_bytes);
  }
  CHECK(body == 1000000);
  CHECK(done == 2);
}

TEST_CASE("request_parser does not grow with the number of requests", "[http][parser]") {
  request_parser parser;
  for (int i = 0; i < 1000; ++i) {
    for (std::string_view rest = get; !rest.empty();) rest.remove_prefix(parser.feed(rest));
    REQUIRE(parser.next() == parse_event::head);
    REQUIRE(parser.next() == parse_event::done);
    REQUIRE(parser.next() == parse_event::need_more);
  }
  CHECK(parser.capacity() == 4096);
}

TEST_CASE("request_parser stays failed", "[http][parser]") {
  request_parser parser;
  parser.feed("\x16\x03\x01");
  CHECK(parser.next() == parse_event::failed);
  parser.feed(get);
  CHECK(parser.next() == parse_event::failed);
  CHECK(parser.failure().status == 400);
}

TEST_CASE("request_parser refuses limits and sizes that cannot be meant", "[http][parser]") {
  parser_limits limits;
  limits.header_bytes = 10;
  CHECK_THROWS_AS(request_parser(limits), contract_error);
  request_parser parser;
  const std::size_t room = parser.prepare().size();
  CHECK_THROWS_AS(parser.commit(room + 1), contract_error);
}
