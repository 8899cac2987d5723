// SPDX-License-Identifier: MIT
#include "parse_support.hpp"

#include <fermata/http/http_date.hpp>
#include <fermata/http/validators.hpp>
#include <fermata/loop/error.hpp>

#include <catch2/catch.hpp>

#include <string>

using fermata::contract_error;
using fermata::http::byte_range;
using fermata::http::decision;
using fermata::http::evaluate;
using fermata::http::quoted_etag;
using fermata::http::representation;
using fermata::http::to_http_date;
using fermata::http::test::parse_request;
using std::chrono::sys_days;
using std::chrono::sys_seconds;
using std::chrono::year;
using namespace std::chrono_literals;

namespace {

const sys_seconds now = sys_days(year(2025) / 11 / 21);
const sys_seconds modified = sys_days(year(2025) / 6 / 1) + 1h;
const representation index_file{"\"abc\"", modified, 1000, "application/gzip"};

int status(const std::string& fields, const std::string& method = "GET") {
  return evaluate(parse_request(method + " / HTTP/1.1\n" + fields), index_file, now).status;
}

decision judged(const std::string& fields) {
  return evaluate(parse_request("GET / HTTP/1.1\n" + fields), index_file, now);
}

std::string before() { return to_http_date(modified - 1s); }
std::string same() { return to_http_date(modified); }
std::string after() { return to_http_date(modified + 1s); }

}  // namespace

TEST_CASE("quoted_etag quotes and refuses what would end the tag", "[http][validators]") {
  CHECK(quoted_etag("a-1") == "\"a-1\"");
  CHECK(quoted_etag("") == "\"\"");
  CHECK_THROWS_AS(quoted_etag("a\"b"), contract_error);
  CHECK_THROWS_AS(quoted_etag("a b"), contract_error);
  CHECK_THROWS_AS(quoted_etag("a\r\nb"), contract_error);
}

TEST_CASE("evaluate without conditions gives the whole", "[http][validators]") {
  CHECK(status("") == 200);
  CHECK(status("", "HEAD") == 200);
  CHECK(status("", "POST") == 200);
}

TEST_CASE("If-None-Match compares weakly and reads lists", "[http][validators]") {
  CHECK(status("If-None-Match: \"abc\"\n") == 304);
  CHECK(status("If-None-Match: W/\"abc\"\n") == 304);
  CHECK(status("If-None-Match: *\n") == 304);
  CHECK(status("If-None-Match: \"x\", \"a,b\" ,\"abc\"\n") == 304);
  CHECK(status("If-None-Match: ,,\"abc\",\n") == 304);
  CHECK(status("If-None-Match: \"x\"\nIf-None-Match: \"abc\"\n") == 304);
  CHECK(status("If-None-Match: \"x\"\n") == 200);
  CHECK(status("If-None-Match: abc\n") == 200);
  CHECK(status("If-None-Match: \"abc\n") == 200);
  CHECK(status("If-None-Match: \"abc\" \"x\"\n") == 200);
  CHECK(status("If-None-Match: w/\"abc\"\n") == 200);
  CHECK(status("If-None-Match:\n") == 200);
  CHECK(status("If-None-Match: \"ABC\"\n") == 200);
}

TEST_CASE("If-None-Match is 412 for methods that change", "[http][validators]") {
  CHECK(status("If-None-Match: \"abc\"\n", "HEAD") == 304);
  CHECK(status("If-None-Match: \"abc\"\n", "PUT") == 412);
  CHECK(status("If-None-Match: *\n", "POST") == 412);
}

TEST_CASE("If-Match compares strongly", "[http][validators]") {
  CHECK(status("If-Match: \"abc\"\n") == 200);
  CHECK(status("If-Match: *\n") == 200);
  CHECK(status("If-Match: \"x\", \"abc\"\n") == 200);
  CHECK(status("If-Match: \"x\"\nIf-Match: \"abc\"\n") == 200);
  CHECK(status("If-Match: W/\"abc\"\n") == 412);
  CHECK(status("If-Match: \"x\"\n") == 412);
  CHECK(status("If-Match: abc\n") == 412);
}

TEST_CASE("If-Modified-Since counts for GET and HEAD", "[http][validators]") {
  CHECK(status("If-Modified-Since: " + before() + "\n") == 200);
  CHECK(status("If-Modified-Since: " + same() + "\n") == 304);
  CHECK(status("If-Modified-Since: " + after() + "\n") == 304);
  CHECK(status("If-Modified-Since: " + same() + "\n", "HEAD") == 304);
  CHECK(status("If-Modified-Since: " + same() + "\n", "POST") == 200);
  CHECK(status("If-Modified-Since: yesterday\n") == 200);
  CHECK(status("If-Modified-Since: " + same() + "\nIf-Modified-Since: " + same() + "\n") == 200);
}

TEST_CASE("If-Modified-Since is ignored beside If-None-Match", "[http][validators]") {
  CHECK(status("If-None-Match: \"x\"\nIf-Modified-Since: " + same() + "\n") == 200);
  CHECK(status("If-None-Match: \"abc\"\nIf-Modified-Since: " + before() + "\n") == 304);
}

TEST_CASE("If-Unmodified-Since fails on what is newer", "[http][validators]") {
  CHECK(status("If-Unmodified-Since: " + before() + "\n") == 412);
  CHECK(status("If-Unmodified-Since: " + same() + "\n") == 200);
  CHECK(status("If-Unmodified-Since: " + after() + "\n") == 200);
  CHECK(status("If-Unmodified-Since: x\n") == 200);
  CHECK(status("If-Match: *\nIf-Unmodified-Since: " + before() + "\n") == 200);
}

TEST_CASE("Range: one range in its three forms", "[http][validators]") {
  const auto range = [](const char* value) {
    const decision d = judged("Range: " + std::string(value) + "\n");
    CHECK(d.status == 206);
    return d.range;
  };
  CHECK(range("bytes=0-0") == byte_range{0, 0});
  CHECK(range("bytes=200-") == byte_range{200, 999});
  CHECK(range("bytes=0-99999999999999999999999") == byte_range{0, 999});
  CHECK(range("bytes=-1") == byte_range{999, 999});
  CHECK(range("bytes=-5000") == byte_range{0, 999});
  CHECK(range("Bytes=10-19") == byte_range{10, 19});
  CHECK(range("bytes=999-999") == byte_range{999, 999});
}

TEST_CASE("Range: what lies outside is 416", "[http][validators]") {
  for (const char* value : {"bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=5000-,2000-3000",
                            "bytes=99999999999999999999-"}) {
    CAPTURE(value);
    CHECK(status("Range: " + std::string(value) + "\n") == 416);
  }
}

TEST_CASE("Range: malformed ones give the whole", "[http][validators]") {
  for (const char* value : {"bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=1",
                            "bytes=1-2-3", "bytes=+1-2", "bytes = 1-2", "lines=1-2", "bytes=,",
                            "bytes=1-2,x", "bytes=--1", "1-2", "bytes=0x1-2"}) {
    CAPTURE(value);
    CHECK(status("Range: " + std::string(value) + "\n") == 200);
  }
  CHECK(status("Range: bytes=0-1\nRange: bytes=0-1\n") == 200);
}

TEST_CASE("Range: several are one where they touch, else the whole", "[http][validators]") {
  CHECK(judged("Range: bytes=0-9,10-19\n").range == byte_range{0, 19});
  CHECK(judged("Range: bytes=5-19, 0-9, 15-\n").range == byte_range{0, 999});
  CHECK(judged("Range: bytes=0-9, 5000-\n").range == byte_range{0, 9});
  CHECK(status("Range: bytes=0-9,11-19\n") == 200);
  std::string many = "bytes=0-0";
  for (int i = 0; i < 32; ++i) many += ",0-0";
  CHECK(status("Range: " + many + "\n") == 200);
}

TEST_CASE("Range counts for GET alone", "[http][validators]") {
  CHECK(status("Range: bytes=0-1\n", "HEAD") == 200);
  CHECK(status("Range: bytes=0-1\n", "POST") == 200);
}

TEST_CASE("Range of an empty representation cannot be satisfied", "[http][validators]") {
  const representation nothing{"\"e\"", modified, 0, "text/plain"};
  const auto r = parse_request("GET / HTTP/1.1\nRange: bytes=0-\n");
  CHECK(evaluate(r, nothing, now).status == 416);
}

TEST_CASE("If-Range lets the range through for the same version alone", "[http][validators]") {
  const auto with = [](const std::string& value) {
    return status("Range: bytes=0-1\nIf-Range: " + value + "\n");
  };
  CHECK(with("\"abc\"") == 206);
  CHECK(with("W/\"abc\"") == 200);
  CHECK(with("\"x\"") == 200);
  CHECK(with("\"abc\", \"x\"") == 200);
  CHECK(with(same()) == 206);
  CHECK(with(after()) == 200);
  CHECK(with(before()) == 200);
  CHECK(with("x") == 200);
  CHECK(status("Range: bytes=5000-\nIf-Range: \"x\"\n") == 200);
}

TEST_CASE("evaluate asks in the order of RFC 9110", "[http][validators]") {
  CHECK(status("If-None-Match: \"abc\"\nRange: bytes=5000-\n") == 304);
  CHECK(status("If-Match: \"x\"\nIf-None-Match: \"abc\"\nRange: bytes=0-1\n") == 412);
}

TEST_CASE("evaluate without validators knows only the star", "[http][validators]") {
  const representation bare{"", std::nullopt, 10, "text/plain"};
  const auto ask = [&](const std::string& fields) {
    return evaluate(parse_request("GET / HTTP/1.1\n" + fields), bare, now).status;
  };
  CHECK(ask("If-None-Match: \"\"\n") == 200);
  CHECK(ask("If-None-Match: *\n") == 304);
  CHECK(ask("If-Match: \"\"\n") == 412);
  CHECK(ask("If-Modified-Since: " + same() + "\n") == 200);
  CHECK(ask("If-Unmodified-Since: " + before() + "\n") == 200);
  CHECK(ask("Range: bytes=0-1\nIf-Range: \"\"\n") == 200);
}

TEST_CASE("content_range names range and size", "[http][validators]") {
  CHECK(fermata::http::content_range(byte_range{2, 5}, 10) == "bytes 2-5/10");
  CHECK(fermata::http::content_range(std::nullopt, 10) == "bytes */10");
}
