// SPDX-License-Identifier: MIT
// What the parser refuses, and with which status.

#include "parse_support.hpp"

#include <fermata/http/request_parser.hpp>

#include <catch2/catch.hpp>

#include <string>

using fermata::http::parser_limits;
using fermata::http::test::parse;
using fermata::http::test::status_of;

namespace {

std::string head(const std::string& fields) { return "POST / HTTP/1.1\nHost: h\n" + fields + "\n"; }

int chunk_status(const std::string& body) {
  return parse("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body).status;
}

}  // namespace

TEST_CASE("request line: versions other than 1.0 and 1.1 are 505", "[http][strict]") {
  for (const char* version : {"HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.0", "HTTP/9.9"}) {
    CAPTURE(version);
    CHECK(status_of("GET / " + std::string(version) + "\nHost: h\n\n") == 505);
  }
  CHECK(status_of("PRI * HTTP/2.0\n\nSM\n\n") == 505);
}

TEST_CASE("request line: malformed ones are 400", "[http][strict]") {
  for (const char* line : {"GET",
                           "GET ",
                           "GET /",
                           "GET / ",
                           "GET  / HTTP/1.1",
                           "GET /  HTTP/1.1",
                           " GET / HTTP/1.1",
                           "GET / HTTP/1.1 ",
                           "GET / HTTP/1.10",
                           "GET / HTTP/11",
                           "GET / http/1.1",
                           "GET / HTTP/x.1",
                           "GET / HTTPS/1.1",
                           "GET\t/ HTTP/1.1",
                           "GET / HTTP/1.1 x",
                           "G(T / HTTP/1.1",
                           "/ HTTP/1.1",
                           "GET /a b HTTP/1.1",
                           "GET /\x80 HTTP/1.1",
                           "GET /#f HTTP/1.1",
                           "GET /\x7f HTTP/1.1",
                           "GET a HTTP/1.1",
                           "GET * HTTP/1.1",
                           "GET ftp://h/ HTTP/1.1",
                           "GET http:///x HTTP/1.1",
                           "GET http://u@h/ HTTP/1.1",
                           "GET h:80 HTTP/1.1",
                           "HTTP/1.1 200 OK"}) {
    CAPTURE(line);
    CHECK(status_of(std::string(line) + "\nHost: h\n\n") == 400);
  }
}

TEST_CASE("request line: CONNECT is 501", "[http][strict]") {
  CHECK(status_of("CONNECT h:443 HTTP/1.1\nHost: h\n\n") == 501);
}

TEST_CASE("request line: one too long is 414, complete or not", "[http][strict]") {
  const std::string path(8192, 'a');
  CHECK(parse("GET /" + path + " HTTP/1.1\r\nHost: h\r\n\r\n").status == 414);
  CHECK(parse("GET /" + path).status == 414);
  CHECK(parse("GET /" + path, 1).status == 414);
  CHECK(parse("GET /" + std::string(8000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n").status == 0);
}

TEST_CASE("request line: what cannot become one is refused at once", "[http][strict]") {
  CHECK(parse("\x16\x03\x01\x02").status == 400);
  CHECK(parse("\n").status == 400);
  CHECK(parse(std::string(1, '\0')).status == 400);
  CHECK(parse("{\"a\"").status == 400);
  CHECK(parse("GET\r").status == 0);
}

TEST_CASE("target: what decoding would change is refused", "[http][strict]") {
  for (const char* target :
       {"/%00", "/a%2fb", "/a%2Fb",    "/%0a",   "/%0D",  "/%09",          "/%7f",    "/%",
        "/%4",  "/%4g",   "/%zz",      "/..",    "/../a", "/a/..",         "/a/../b", "/.",
        "/./a", "/a/.",   "/%2e%2e/a", "/a/%2E", "/.%2e", "http://h/../a", "//../a",  "/a//../b"}) {
    CAPTURE(target);
    CHECK(status_of("GET " + std::string(target) + " HTTP/1.1\nHost: h\n\n") == 400);
  }
  CHECK(status_of("GET /%2525?%00/.. HTTP/1.1\nHost: h\n\n") == 0);
}

TEST_CASE("Host: missing on 1.1, doubled or malformed is 400", "[http][strict]") {
  CHECK(status_of("GET / HTTP/1.1\n\n") == 400);
  CHECK(status_of("GET / HTTP/1.0\n\n") == 0);
  CHECK(status_of("GET http://h/ HTTP/1.1\n\n") == 400);
  CHECK(status_of("GET / HTTP/1.1\nHost: a\nHost: a\n\n") == 400);
  CHECK(status_of("GET / HTTP/1.0\nHost: a\nhOST: b\n\n") == 400);
  CHECK(status_of("GET / HTTP/1.1\nHost:\n\n") == 0);
  for (const char* host : {"a b", "a,b", "a/b", "a@b", "a?b", "a#b", "a\\b", "a<b"}) {
    CAPTURE(host);
    CHECK(status_of("GET / HTTP/1.1\nHost: " + std::string(host) + "\n\n") == 400);
  }
}

TEST_CASE("Transfer-Encoding: only a single chunked on 1.1 is taken", "[http][strict]") {
  CHECK(status_of(head("Transfer-Encoding: chunked\n")) == 0);
  CHECK(status_of(head("Transfer-Encoding: Chunked\n")) == 0);
  for (const char* value :
       {"chunked, chunked", "chunked,", ",chunked", "", "chunked;q=1", "chunked, gzip, chunked",
        "chunked gzip", "\"chunked\"", "gzip,,chunked"}) {
    CAPTURE(value);
    CHECK(status_of(head("Transfer-Encoding: " + std::string(value) + "\n")) == 400);
  }
  for (const char* value : {"gzip", "gzip, chunked", "identity", "xchunked", "x-chunked"}) {
    CAPTURE(value);
    CHECK(status_of(head("Transfer-Encoding: " + std::string(value) + "\n")) == 501);
  }
  CHECK(status_of(head("Transfer-Encoding: chunked, gzip\n")) == 400);
  CHECK(status_of(head("Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n")) == 400);
  CHECK(status_of("POST / HTTP/1.0\nHost: h\nTransfer-Encoding: chunked\n\n") == 400);
}

TEST_CASE("Transfer-Encoding beside Content-Length is 400, in both orders", "[http][strict]") {
  CHECK(status_of(head("Transfer-Encoding: chunked\nContent-Length: 5\n")) == 400);
  CHECK(status_of(head("Content-Length: 5\nTransfer-Encoding: chunked\n")) == 400);
  CHECK(status_of(head("Content-Length: 5\nTransfer-Encoding: x\n")) == 400);
}

TEST_CASE("Content-Length: odd forms are 400", "[http][strict]") {
  for (const char* value : {"+5", "-5", "5 5", "5,5", "5, 5", "5,6", "0x5", "5.0", "", " ", "a",
                            "5a", "18446744073709551616", "99999999999999999999999", "5,", ",5"}) {
    CAPTURE(value);
    CHECK(status_of(head("Content-Length: " + std::string(value) + "\n")) == 400);
  }
  CHECK(status_of(head("Content-Length: 5\nContent-Length: 6\n")) == 400);
  CHECK(status_of(head("Content-Length: 5\nContent-Length: 5\n")) == 400);
  CHECK(status_of(head("Content-Length: 005\n")) == 0);
}

TEST_CASE("fields: folded lines are 400", "[http][strict]") {
  CHECK(status_of(head("X: a\n b\n")) == 400);
  CHECK(status_of(head("X: a\n\tb\n")) == 400);
  CHECK(status_of(head("X:\n b\n")) == 400);
  CHECK(status_of(head("X:\n \n")) == 400);
  CHECK(status_of(head("X: a\n \n")) == 400);
  CHECK(status_of("GET / HTTP/1.1\n X: a\nHost: h\n\n") == 400);
  CHECK(status_of(head("Transfer-Encoding:\n chunked\n")) == 400);
}

TEST_CASE("fields: bad names and values are 400", "[http][strict]") {
  for (const char* field : {"X : a", "X\t: a", " X: a", ": a", "X", "X(: a", "\x01X: a", "X: \x01",
                            "X: a\x7f", "X: a\x0b", "X\x80: a", "Content-Length : 5"}) {
    CAPTURE(field);
    CHECK(status_of(head(std::string(field) + "\n")) == 400);
  }
  CHECK(status_of(head(std::string("X: a\0b\n", 7))) == 400);
  CHECK(status_of(head(std::string("X\0: ab\n", 7))) == 400);
  CHECK(status_of(head("X: caf\xc3\xa9\n")) == 0);
}

TEST_CASE("fields: a bare CR or LF is 400", "[http][strict]") {
  CHECK(parse("GET / HTTP/1.1\nHost: h\r\n\r\n").status == 400);
  CHECK(parse("GET / HTTP/1.1\r\nHost: h\n\r\n").status == 400);
  CHECK(parse("GET / HTTP/1.1\r\nHost: h\r\n\n").status == 400);
  CHECK(parse("GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n").status == 400);
  CHECK(parse("GET / HTTP/1.1\r\r\nHost: h\r\n\r\n").status == 400);
  CHECK(parse("GET / HTTP/1.1\r\nHost: h\r\r\n\r\n").status == 400);
}

TEST_CASE("Expect: anything but 100-continue is 417", "[http][strict]") {
  CHECK(status_of(head("Expect: 200-ok\n")) == 417);
  CHECK(status_of(head("Expect: 100-continue\n")) == 0);
}

TEST_CASE("limits: a head too large is 431, complete or endless", "[http][strict]") {
  const std::string start = "GET / HTTP/1.1\r\nHost: h\r\n";
  CHECK(parse(start + "X: " + std::string(16384, 'a') + "\r\n\r\n").status == 431);
  CHECK(parse(start + "X: " + std::string(16384, 'a')).status == 431);
  CHECK(parse(start + "X: " + std::string(16384, 'a'), 1).status == 431);
  std::string many = start;
  for (int i = 0; i < 101; ++i) many += "A: b\r\n";
  CHECK(parse(many + "\r\n").status == 431);
}

TEST_CASE("limits: a head of exactly the limit passes", "[http][strict]") {
  const std::string start = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
  const std::string fits = start + std::string(16384 - start.size() - 4, 'a') + "\r\n\r\n";
  CHECK(parse(fits).status == 0);
  CHECK(parse(fits).events == "GET /; done; ");
  CHECK(parse(fits, 1).events == "GET /; done; ");
  CHECK(parse(fits.substr(0, fits.size() - 4) + "a\r\n\r\n").status == 431);
}

TEST_CASE("limits: a body too large is 413", "[http][strict]") {
  parser_limits limits;
  limits.body_bytes = 10;
  CHECK(status_of(head("Content-Length: 11\n"), limits) == 413);
  CHECK(status_of(head("Content-Length: 18446744073709551615\n"), limits) == 413);
  CHECK(status_of(head("Content-Length: 10\n"), limits) == 0);
  const std::string start = head("Transfer-Encoding: chunked\n");
  CHECK(status_of(start + "b\n", limits) == 413);
  CHECK(status_of(start + "5\nhello\n6\n", limits) == 413);
  CHECK(status_of(start + "5\nhello\n5\nhello\n0\n\n", limits) == 0);
}

TEST_CASE("chunks: malformed lines are 400", "[http][strict]") {
  for (const char* body : {"\r\n",
                           "g\r\n",
                           "-1\r\n",
                           "+1\r\n",
                           "0x1\r\n",
                           " 1\r\n",
                           "1 \r\nx\r\n",
                           "1\n",
                           "1\r\nxy",
                           "1\r\nx\n",
                           "1\r\nx0\r\n\r\n",
                           ";a\r\n",
                           "1;\r\nx",
                           "1;=\r\nx",
                           "1;a=\"\r\nx",
                           "0 x\r\n\r\n",
                           "1;a\rb\r\n",
                           "ffffffffffffffffff\r\n",
                           "10000000000000000\r\n",
                           "0\n\r\n",
                           "0\r\n\n",
                           "0\r\nX : y\r\n\r\n",
                           "0\r\nX: y\r\n z\r\n\r\n",
                           "0\r\nX:\r\n z\r\n\r\n",
                           "0\r\nContent-Length: 5\r\n\r\n",
                           "0\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    CAPTURE(body);
    CHECK(chunk_status(body) == 400);
  }
  CHECK(chunk_status("1;a=\"\x01\"\r\nx") == 400);
  CHECK(chunk_status("0;a=\"\r\n\r\n") == 400);
}

TEST_CASE("chunks: good forms pass", "[http][strict]") {
  for (const char* body :
       {"0\r\n\r\n", "000\r\n\r\n", "1\r\nx\r\n0\r\n\r\n", "A\r\n0123456789\r\n0\r\n\r\n",
        "1;a\r\nx\r\n0;b=c\r\nX: y\r\n\r\n", "1 ;a=b\r\nx\r\n0\r\n\r\n"}) {
    CAPTURE(body);
    CHECK(chunk_status(body) == 0);
  }
}

TEST_CASE("chunks: extensions and trailers count to the header limit", "[http][strict]") {
  CHECK(chunk_status("1;a=" + std::string(16384, 'b') + "\r\n") == 431);
  CHECK(chunk_status("1;a=" + std::string(16384, 'b')) == 431);
  std::string extended;
  for (int i = 0; i < 200; ++i) extended += "1;a=" + std::string(100, 'b') + "\r\nx\r\n";
  CHECK(chunk_status(extended) == 431);
  std::string trailers = "0\r\n";
  for (int i = 0; i < 200; ++i) trailers += "X: " + std::string(100, 'b') + "\r\n";
  CHECK(chunk_status(trailers) == 431);
  CHECK(chunk_status(trailers + "\r\n") == 431);
  CHECK(chunk_status("1;a=" + std::string(10000, 'b') +
                     "\r\nx\r\n0\r\nX: " + std::string(10000, 'b') + "\r\n\r\n") == 431);
  CHECK(chunk_status(std::string(20000, '0')) == 431);
}
