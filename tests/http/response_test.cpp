// SPDX-License-Identifier: MIT
#include "parse_support.hpp"
#include "support/policy.hpp"

#include <fermata/http/http_date.hpp>
#include <fermata/http/response.hpp>
#include <fermata/http/router.hpp>
#include <fermata/loop/event_loop.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <string>

using fermata::contract_error;
using fermata::event_loop;
using fermata::promise;
using fermata::ready;
using fermata::http::quoted_etag;
using fermata::http::representation;
using fermata::http::request;
using fermata::http::response;
using fermata::http::router;
using fermata::http::serve;
using fermata::http::shared_bytes;
using fermata::http::text_response;
using fermata::http::test::parse_request;
using fermata::testing::options_of_run;
using std::chrono::sys_days;
using std::chrono::sys_seconds;
using std::chrono::year;

namespace {

const sys_seconds now = sys_days(year(2025) / 11 / 21);
const sys_seconds modified = sys_days(year(2025) / 6 / 1);

struct file {
  std::shared_ptr<const std::string> text = std::make_shared<const std::string>("0123456789");
  shared_bytes bytes{text};
  representation what{quoted_etag("v1"), modified, 10, "text/plain"};
};

response ask(const file& f, const std::string& fields, const std::string& method = "GET") {
  return serve(parse_request(method + " /f HTTP/1.1\n" + fields), f.what, f.bytes, now);
}

promise<response> hello(const request& r) { return ready(text_response(200, "hello " + r.path())); }

response route(const router& to, const std::string& line) {
  const request r = parse_request(line + " HTTP/1.1\n");
  event_loop loop(options_of_run());
  return loop.run([&] { return to(r); });
}

}  // namespace

TEST_CASE("serve answers with the whole and its validators", "[http][serve]") {
  const file f;
  const response r = ask(f, "");
  CHECK(r.status == 200);
  CHECK(r.body.view().data() == f.text->data());
  CHECK(r.body.size() == 10);
  CHECK(r.headers.text() ==
        "ETag: \"v1\"\r\nLast-Modified: Sun, 01 Jun 2025 00:00:00 GMT\r\n"
        "Accept-Ranges: bytes\r\nContent-Type: text/plain\r\n");
}

TEST_CASE("serve answers 304 with the validators alone", "[http][serve]") {
  const response r = ask(file(), "If-None-Match: \"v1\"\n");
  CHECK(r.status == 304);
  CHECK(r.body.empty());
  CHECK(r.headers.text() == "ETag: \"v1\"\r\nLast-Modified: Sun, 01 Jun 2025 00:00:00 GMT\r\n");
}

TEST_CASE("serve cuts a range without a copy", "[http][serve]") {
  const file f;
  const response r = ask(f, "Range: bytes=3-5\n");
  CHECK(r.status == 206);
  CHECK(r.body.view() == "345");
  CHECK(r.body.view().data() == f.text->data() + 3);
  CHECK(r.headers.find("Content-Range") == "bytes 3-5/10");
}

TEST_CASE("serve names the size where a range lies outside", "[http][serve]") {
  const response r = ask(file(), "Range: bytes=10-\n");
  CHECK(r.status == 416);
  CHECK(r.headers.find("Content-Range") == "bytes */10");
  CHECK(r.headers.find("ETag") == std::nullopt);
}

TEST_CASE("serve answers 412 where a precondition fails", "[http][serve]") {
  CHECK(ask(file(), "If-Match: \"v2\"\n").status == 412);
}

TEST_CASE("serve refuses bytes that are not the representation", "[http][serve]") {
  file f;
  f.what.size = 11;
  CHECK_THROWS_AS(ask(f, ""), contract_error);
}

TEST_CASE("router calls the handler of method and path", "[http][router]") {
  router to;
  to.on("GET", "/a", hello).on_prefix("GET", "/p/", hello);
  CHECK(route(to, "GET /a").body.view() == "hello /a");
  CHECK(route(to, "HEAD /a").body.view() == "hello /a");
  CHECK(route(to, "GET /p/x/y").body.view() == "hello /p/x/y");
}

TEST_CASE("router answers what no handler does", "[http][router]") {
  router to;
  to.on("GET", "/a", hello);
  CHECK(route(to, "GET /b").status == 404);
  CHECK(route(to, "POST /a").status == 405);
  CHECK(route(to, "POST /a").headers.find("Allow") == "GET, HEAD, OPTIONS");
  CHECK(route(to, "OPTIONS /a").status == 204);
  CHECK(route(to, "OPTIONS *").headers.find("Allow") == "GET, HEAD, OPTIONS");
  CHECK(route(to, "OPTIONS /b").status == 404);
}
