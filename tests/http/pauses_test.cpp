// SPDX-License-Identifier: MIT
// Every pause of http, by the function that it is in: a server and a client of ours have them all
// between them.

#include "client_support.hpp"
#include "support/pause_sites.hpp"

#include <fermata/http/incoming_body.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

using namespace fermata::http;
using namespace fermata::http::test;
using fermata::promise;
using fermata::ready;
using fermata::test::pause_sites;

namespace {

server_options streaming() {
  server_options o;
  o.rule_of_body = [](const request& r) {
    body_rule rule;
    rule.streamed = r.path() == "/upload";
    return rule;
  };
  return o;
}

promise<response> serve(const request& r) {
  response answered = text_response(200, "hello");
  if (r.path() == "/pieces") {
    auto left = std::make_shared<int>(3);
    answered.stream = [left] { return ready(shared_bytes((*left)-- > 0 ? "x" : "")); };
  } else if (r.path() == "/small") {
    answered.headers.add("Content-Encoding", "gzip");
    answered.body = shared_bytes(deflated(std::string(100'000, 'x'), as_gzip));
  }
  return ready(std::move(answered));
}

promise<> talk() {
  server s(serve, streaming());
  const std::string at = "http://" + s.listen("127.0.0.1:0");
  client c(direct());
  promise<whole> getting = get_whole(c, client_request(at + "/pieces"));
  whole got = co_await std::move(getting);
  CHECK(got.body == "xxx");
  getting = get_whole(c, client_request(at + "/small"));
  got = co_await std::move(getting);
  CHECK(got.body.size() == 100'000);
  client_request upload(at + "/upload");
  upload.method = "POST";
  upload.body = shared_bytes(std::string(10, 'x'));
  getting = get_whole(c, std::move(upload));
  got = co_await std::move(getting);
  CHECK(got.body == "hello");
  promise<> ended = s.shutdown(std::chrono::seconds(5));
  co_await ended;
}

// Function by function, how many there are.
constexpr const char* expected = R"(client.cpp read_rest 1
client_transfer.cpp read 1
connection.cpp converse 2
connection_send.cpp send_stream 1
)";

}  // namespace

TEST_CASE("every pause of http is reached, function by function", "[http][pauses]") {
  pause_sites sites("http");
  sites.run(talk);
  sites.check(expected);
}
