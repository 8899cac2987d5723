// SPDX-License-Identifier: MIT
// Servers that stall, trickle, lie and bomb.

#include "client_support.hpp"

#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

using fermata::byte_stream;
using fermata::event_loop;
using fermata::promise;
using fermata::http::client;
using fermata::http::client_error;
using fermata::http::client_failure;
using fermata::http::client_options;
using fermata::http::client_request;
using fermata::http::client_response;
using fermata::http::client_time;
using fermata::http::shared_bytes;
using fermata::http::test::as_gzip;
using fermata::http::test::as_zlib;
using fermata::http::test::client_failure_of;
using fermata::http::test::deflated;
using fermata::http::test::direct;
using fermata::http::test::get_whole;
using fermata::http::test::raw_server;
using fermata::http::test::rejects_with;
using fermata::http::test::says;
using fermata::http::test::sized;
using fermata::http::test::whole;
using fermata::testing::options_of_run;
using namespace std::chrono_literals;

namespace {

struct outcome {
  std::string body;  // that came before the end
  bool has_failed = false;
  client_failure kind{};
  client_time which{};
  std::string text;
};

promise<outcome> outcome_of(client& c, client_request r) {
  outcome out;
  try {
    promise<client_response> sending = c.send(std::move(r));
    client_response got = co_await std::move(sending);
    for (;;) {
      promise<shared_bytes> reading = got.body.read();
      const shared_bytes piece = co_await reading;
      if (piece.empty()) break;
      if (out.body.size() < 1 << 20) out.body += piece.view();
    }
  } catch (const client_error& e) {
    out.has_failed = true;
    out.kind = e.kind();
    out.which = e.which();
    out.text = e.what();
  }
  co_return out;
}

// What becomes of a request to a server that says `text` and then ends.
outcome outcome_of(const std::string& text, const client_options& options = direct()) {
  event_loop loop(options_of_run());
  raw_server s(says(text, true));
  client c(options);
  outcome out = loop.run([&] { return outcome_of(c, client_request(s.url())); });
  const std::size_t at = out.text.find(s.url());
  if (at != std::string::npos) out.text.replace(at, s.url().size(), "URL");
  return out;
}

promise<> trickle(byte_stream& s, std::string) {
  promise<> begun = fermata::write_text(s, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
  co_await begun;
  for (;;) {
    promise<> said = fermata::write_text(s, "x");
    co_await said;
    co_await fermata::sleep_for(5ms);
  }
}

promise<> is_silent(byte_stream&, std::string) { return fermata::never(); }

}  // namespace

TEST_CASE("client tells which limit of time was met", "[http][client][hostile]") {
  event_loop loop(options_of_run());
  client_options options = direct();
  fermata::http::client_limits& l = options.defaults.limits;
  raw_server::talk talk = is_silent;
  std::string scheme = "http";
  client_time expected = client_time::none;
  std::string why;
  SECTION("connect, to a server that does not shake hands") {
    l.connect_time = 60ms;
    scheme = "https";
    expected = client_time::connect;
    why = "no connection within 60 ms";
  }
  SECTION("first byte") {
    l.first_byte_time = 60ms;
    expected = client_time::first_byte;
    why = "no response within 60 ms";
  }
  SECTION("first byte, of a head that trickles") {
    l.first_byte_time = 60ms;
    talk = [](byte_stream& s, std::string) -> promise<> {
      promise<> begun = fermata::write_text(s, "HTTP/1.1 200 OK\r\nX: ");
      co_await begun;
      for (;;) {
        promise<> said = fermata::write_text(s, "x");
        co_await said;
        co_await fermata::sleep_for(5ms);
      }
    };
    expected = client_time::first_byte;
    why = "no response within 60 ms";
  }
  SECTION("rate") {
    l.rate_time = 60ms;
    l.rate_bytes = 1000;
    talk = trickle;
    expected = client_time::rate;
    why = "less than 1000 bytes within 60 ms";
  }
  SECTION("total") {
    l.total_time = 60ms;
    talk = trickle;
    expected = client_time::total;
    why = "it was not over within 60 ms";
  }
  SECTION("total, while it waits for its turn") {
    l.total_time = 60ms;
    options.most_per_host = 1;
    expected = client_time::total;
    why = "it was not over within 60 ms";
  }
  raw_server s(talk);
  client c(std::move(options));
  const std::string url = scheme + "://" + s.address() + "/";
  loop.run([&]() -> promise<> {
    promise<fermata::http::client_response> first;
    if (why.find("not over") != std::string::npos && talk.target_type() != typeid(&trickle)) {
      client_request holds(url);
      holds.options = c.defaults();
      holds.options->limits.total_time = 0ms;
      first = c.send(std::move(holds));
    }
    const outcome out = co_await outcome_of(c, client_request(url));
    CHECK(out.has_failed);
    CHECK(out.kind == client_failure::timeout);
    CHECK(out.which == expected);
    CHECK(out.text == "cannot get " + url + ": " + why);
    if (first) cancel(first);
  });
}

TEST_CASE("client does not call a caller slow who does not read", "[http][client][hostile]") {
  event_loop loop(options_of_run());
  client_options options = direct();
  options.defaults.limits.rate_time = 300ms;
  options.defaults.limits.rate_bytes = 1;
  raw_server s(says(sized("", std::string(8 << 20, 'x'))));
  client c(std::move(options));
  loop.run([&]() -> promise<> {
    promise<client_response> sending = c.send(client_request(s.url()));
    client_response r = co_await std::move(sending);
    co_await fermata::sleep_for(600ms);
    const std::string body = co_await r.body.read_all(8 << 20);
    CHECK(body.size() == 8 << 20);
  });
}

TEST_CASE("client tells what is no response", "[http][client][hostile]") {
  struct sent {
    std::string text;
    client_failure kind;
    std::string body;
    std::string why;
  };
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::string chunks = ok + "Transfer-Encoding: chunked\r\n\r\n";
  const std::string gzip = "Content-Encoding: gzip\r\n";
  const std::string packed = deflated(std::string(1000, 'x'), as_gzip);
  const std::vector<sent> all = {
      {"", client_failure::broken, "", "empty reply from server (curl 52)"},
      {ok + "Content-Length: 10\r\n\r\n12345", client_failure::broken, "12345",
       "transfer closed with 5 bytes remaining to read (curl 18)"},
      {chunks + "5\r\n12345\r\n", client_failure::broken, "12345",
       "transfer closed with outstanding read data remaining (curl 18)"},
      {chunks + "5\r\n12345\r\nzz\r\n", client_failure::protocol, "12345", "chunk"},
      {chunks + "fffffffffffffffff\r\n", client_failure::protocol, "", "chunk"},
      {"SSH-2.0-server\r\n", client_failure::protocol, "",
       "received HTTP/0.9 when not allowed (curl 1)"},
      {ok + "X: " + std::string(70'000, 'x') + "\r\n\r\n", client_failure::too_large, "",
       "the head has more than 65536 bytes"},
      {sized(gzip, packed.substr(0, packed.size() - 4)), client_failure::broken,
       std::string(1000, 'x'), "the compressed body ends early"},
      {sized(gzip, packed.substr(0, 5)), client_failure::broken, "",
       "the compressed body ends early"},
      {sized(gzip, "no gzip"), client_failure::protocol, "",
       "the compressed body is damaged: incorrect header check"},
      {sized(gzip, packed + "and more"), client_failure::protocol, std::string(1000, 'x'),
       "the compressed body is damaged: incorrect header check"},
      {sized("Content-Encoding: deflate\r\n", deflated("text", as_zlib) + "more"),
       client_failure::protocol, "text", "bytes follow the end of the compressed body"},
  };
  for (const sent& one : all) {
    CAPTURE(one.text.substr(0, 80), one.why);
    const outcome out = outcome_of(one.text);
    CHECK(out.has_failed);
    CHECK(out.kind == one.kind);
    CHECK((out.body == one.body));
    CHECK(out.text.starts_with("cannot get URL: "));
    CHECK(out.text.find(one.why) != std::string::npos);
  }
}

TEST_CASE("client takes a body without a length up to the end", "[http][client][hostile]") {
  const outcome out = outcome_of("HTTP/1.1 200 OK\r\n\r\nuntil the end");
  CHECK_FALSE(out.has_failed);
  CHECK(out.body == "until the end");
}

TEST_CASE("client passes interim responses by", "[http][client][hostile]") {
  const outcome out = outcome_of("HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n" + sized("", "x"));
  CHECK_FALSE(out.has_failed);
  CHECK(out.body == "x");
}

TEST_CASE("client takes no more than its limit", "[http][client][hostile]") {
  client_options options = direct();
  options.defaults.limits.body_bytes = 1000;
  const std::string why = "cannot get URL: the body has more than 1000 bytes";
  const outcome told = outcome_of(sized("", std::string(1001, 'x')), options);
  CHECK(told.kind == client_failure::too_large);
  CHECK(told.text == why);
  CHECK(told.body.empty());  // it was not waited for
  const outcome untold = outcome_of("HTTP/1.1 200 OK\r\n\r\n" + std::string(100'000, 'x'), options);
  CHECK(untold.text == why);
  const outcome exact = outcome_of(sized("", std::string(1000, 'x')), options);
  CHECK_FALSE(exact.has_failed);
  const outcome small = outcome_of("HTTP/1.1 200 OK\r\n\r\n" + std::string(1000, 'x'), options);
  CHECK_FALSE(small.has_failed);
  CHECK(small.body.size() == 1000);
}

TEST_CASE("client ends a body that would inflate beyond its limit", "[http][client][hostile]") {
  client_options options = direct();
  options.defaults.limits.body_bytes = 100'000;
  const std::string bomb = deflated(std::string(64 << 20, '\0'), as_gzip);
  REQUIRE(bomb.size() < 100'000);
  const outcome out = outcome_of(sized("Content-Encoding: gzip\r\n", bomb), options);
  CHECK(out.kind == client_failure::too_large);
  CHECK(out.body.size() <= 100'000);
}

TEST_CASE("client reads no more of a body than the caller allows", "[http][client][hostile]") {
  event_loop loop(options_of_run());
  raw_server s(says(sized("", "0123456789")));
  client c(direct());
  CHECK(loop.run([&] { return get_whole(c, client_request(s.url()), 10); }).body == "0123456789");
  const client_error e =
      loop.run([&] { return client_failure_of(get_whole(c, client_request(s.url()), 9)); });
  CHECK(e.kind() == client_failure::too_large);
  CHECK(e.what() == "cannot get " + s.url() + ": the body has more than 9 bytes");
}

TEST_CASE("client sends nothing that would add a line", "[http][client][hostile]") {
  event_loop loop(options_of_run());
  raw_server s(says(sized("", "x")));
  client c(direct());
  using fermata::contract_error;
  client_request r(s.url());
  r.method = "GET / HTTP/1.1\r\nX: y";
  CHECK(loop.run([&] { return rejects_with<contract_error>(c.send(r)); }));
  r.method = "GET";
  CHECK_THROWS_AS(r.headers.add("X", "y\r\nZ: 1"), contract_error);
  r.resume.emplace();
  r.resume->validator = "\"a\"\r\nX: y";
  CHECK(loop.run([&] { return rejects_with<contract_error>(c.send(r)); }));
  r.resume.reset();
  r.options = c.defaults();
  r.options->credentials.emplace();
  r.options->credentials->token = "t\r\nX: y";
  CHECK(loop.run([&] { return rejects_with<contract_error>(c.send(r)); }));
  r.options.reset();
  r.url += "a\r\nX: y";
  CHECK(loop.run([&] { return rejects_with<client_error>(c.send(r)); }));
  CHECK(s.heads.empty());
}

TEST_CASE("client refuses URLs that it cannot use", "[http][client][hostile]") {
  event_loop loop(options_of_run());
  client c(direct());
  const std::vector<std::pair<std::string, std::string>> all = {
      {"", "cannot use the URL : "},
      {"ftp://h/x", "cannot use the URL ftp://h/x: its scheme is not allowed"},
      {"gopher://h/x", "cannot use the URL gopher://h/x: its scheme is not allowed"},
      {"/path", "cannot use the URL /path: "},
      {"http://me:secret@h:99999/", "cannot use the URL http://h:99999/: "},
      {"http://", "cannot use the URL http://: "},
  };
  for (const auto& [url, text] : all) {
    CAPTURE(url);
    const client_error e =
        loop.run([&, u = url] { return client_failure_of(c.send(client_request(u))); });
    CHECK(e.kind() == client_failure::url);
    CHECK(std::string(e.what()).starts_with(text));
  }
  const client_error absent =
      loop.run([&] { return client_failure_of(c.send(client_request("http://absent.invalid/"))); });
  CHECK(absent.kind() == client_failure::resolve);
}
