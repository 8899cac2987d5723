// SPDX-License-Identifier: MIT
#include <fermata/http/response_head.hpp>
#include <fermata/http/shared_bytes.hpp>
#include <fermata/loop/error.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <string>

using fermata::contract_error;
using fermata::http::append_head;
using fermata::http::head_facts;
using fermata::http::header_block;
using fermata::http::http_version;
using fermata::http::shared_bytes;

namespace {

std::string head(int status, const head_facts& facts, const header_block& headers = {}) {
  std::string out;
  append_head(out, status, headers, facts);
  return out;
}

}  // namespace

TEST_CASE("header_block writes fields in order", "[http][response]") {
  header_block h;
  h.add("A", "1");
  h.add("B", " two words ");
  h.add("a", "3");
  CHECK(h.text() == "A: 1\r\nB: two words\r\na: 3\r\n");
  CHECK(h.find("b") == "two words");
  CHECK(h.find("A") == "1");
  CHECK(h.find("C") == std::nullopt);
}

TEST_CASE("header_block replaces and removes in any case", "[http][response]") {
  header_block h;
  h.add("Aa", "1");
  h.add("Aaa", "2");
  h.add("AA", "3");
  h.set("aa", "4");
  CHECK(h.text() == "Aaa: 2\r\naa: 4\r\n");
  CHECK(h.remove("AAA"));
  CHECK_FALSE(h.remove("AAA"));
  CHECK(h.text() == "aa: 4\r\n");
  h.set("aa", *h.find("aa"));
  CHECK(h.text() == "aa: 4\r\n");
}

TEST_CASE("header_block refuses to inject", "[http][response]") {
  header_block h;
  CHECK_THROWS_AS(h.add("A", "x\r\nB: y"), contract_error);
  CHECK_THROWS_AS(h.add("A", "x\ny"), contract_error);
  CHECK_THROWS_AS(h.add("A", std::string_view("x\0y", 3)), contract_error);
  CHECK_THROWS_AS(h.add("A: b", "x"), contract_error);
  CHECK_THROWS_AS(h.add("A\r\nB", "x"), contract_error);
  CHECK_THROWS_AS(h.set("", "x"), contract_error);
  CHECK(h.text().empty());
}

TEST_CASE("header_block leaves framing to the server", "[http][response]") {
  header_block h;
  for (const char* name : {"Content-Length", "transfer-encoding", "Connection", "Date", "Server"})
    CHECK_THROWS_AS(h.add(name, "x"), contract_error);
  CHECK_THROWS_WITH(h.add("Upgrade", "x"),
                    "cannot set the field Upgrade: it is written by the server");
}

TEST_CASE("append_head writes a response of known length", "[http][response]") {
  header_block h;
  h.add("Content-Type", "text/plain");
  head_facts facts;
  facts.length = 12;
  facts.date = "Sun, 06 Nov 1994 08:49:37 GMT";
  CHECK(head(200, facts, h) ==
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: fermata\r\n"
        "Content-Length: 12\r\nContent-Type: text/plain\r\n\r\n");
}

TEST_CASE("append_head says how the connection goes on", "[http][response]") {
  head_facts facts;
  facts.length = 0;
  CHECK(head(404, facts) ==
        "HTTP/1.1 404 Not Found\r\nServer: fermata\r\nContent-Length: 0\r\n\r\n");
  facts.keep_alive = false;
  CHECK(head(404, facts) ==
        "HTTP/1.1 404 Not Found\r\nServer: fermata\r\nContent-Length: 0\r\n"
        "Connection: close\r\n\r\n");
  facts.keep_alive = true;
  facts.version = http_version::v1_0;
  CHECK(
      head(200, facts) ==
      "HTTP/1.1 200 OK\r\nServer: fermata\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
}

TEST_CASE("append_head frames unknown lengths and bodiless statuses", "[http][response]") {
  head_facts facts;
  facts.chunked = true;
  CHECK(head(200, facts) ==
        "HTTP/1.1 200 OK\r\nServer: fermata\r\nTransfer-Encoding: chunked\r\n\r\n");
  facts.length = 5;
  CHECK(head(304, facts) == "HTTP/1.1 304 Not Modified\r\nServer: fermata\r\n\r\n");
  CHECK(head(204, facts) == "HTTP/1.1 204 No Content\r\nServer: fermata\r\n\r\n");
  CHECK(head(100, facts) == "HTTP/1.1 100 Continue\r\nServer: fermata\r\n\r\n");
  CHECK(head(599, {}) == "HTTP/1.1 599 \r\nServer: fermata\r\n\r\n");
}

TEST_CASE("shared_bytes shares and cuts without a copy", "[http][response]") {
  auto text = std::make_shared<const std::string>("hello world");
  shared_bytes all(text);
  const shared_bytes part = all.part(6, 100);
  CHECK(part.view() == "world");
  CHECK(part.view().data() == text->data() + 6);
  CHECK(text.use_count() == 3);
  CHECK(all.part(11, 1).empty());
  text.reset();
  all = shared_bytes();
  CHECK(part.view() == "world");
  CHECK(shared_bytes(std::shared_ptr<const std::string>()).empty());
  CHECK(shared_bytes(nullptr, "static").view() == "static");
  CHECK(shared_bytes(std::string("own")).view() == "own");
}
