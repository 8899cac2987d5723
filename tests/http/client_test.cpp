// SPDX-License-Identifier: MIT
// The client against our own server and against servers that say any bytes.

#include "client_support.hpp"
#include "support/temp_repository.hpp"

#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using fermata::byte_stream;
using fermata::cancel;
using fermata::event_loop;
using fermata::promise;
using fermata::ready;
using fermata::http::client;
using fermata::http::client_body;
using fermata::http::client_error;
using fermata::http::client_failure;
using fermata::http::client_request;
using fermata::http::client_response;
using fermata::http::request;
using fermata::http::response;
using fermata::http::server;
using fermata::http::shared_bytes;
using fermata::http::text_response;
using fermata::http::test::as_gzip;
using fermata::http::test::as_raw;
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

promise<response> echo(const request& r) {
  response out =
      text_response(200, std::string(r.method()) + " " + std::string(r.target()) + " " + r.body());
  out.headers.add("X-Seen", r.find_header("X-Sent").value_or("nothing"));
  return ready(std::move(out));
}

// What is left of a body, without keeping it.
promise<std::uint64_t> size_of(client_body& body, std::size_t& longest) {
  std::uint64_t size = 0;
  for (;;) {
    promise<shared_bytes> reading = body.read();
    const shared_bytes piece = co_await reading;
    if (piece.empty()) co_return size;
    size += piece.size();
    longest = std::max(longest, piece.size());
  }
}

promise<client_response> head_of(client& c, std::string url) {
  promise<client_response> sending = c.send(client_request(std::move(url)));
  co_return co_await std::move(sending);
}

}  // namespace

TEST_CASE("client sends a request and reads the response", "[http][client]") {
  event_loop loop(options_of_run());
  server s(echo);
  const std::string base = "http://" + s.listen("127.0.0.1:0");
  client c(direct());
  client_request r(base + "/a%20b?c=d#e");
  r.headers.add("X-Sent", "mine");
  const whole got = loop.run([&] { return get_whole(c, r); });
  CHECK(got.response.status == 200);
  CHECK(got.response.url == base + "/a%20b?c=d");
  CHECK(got.response.headers.find("x-seen") == "mine");
  CHECK(got.body == "GET /a%20b?c=d ");
}

TEST_CASE("client sends bodies that are there and bodies that come", "[http][client]") {
  event_loop loop(options_of_run());
  server s(echo);
  const std::string base = "http://" + s.listen("127.0.0.1:0");
  client c(direct());
  client_request there(base + "/there");
  there.method = "POST";
  there.body = shared_bytes(std::string("hello"));
  CHECK(loop.run([&] { return get_whole(c, there); }).body == "POST /there hello");

  client_request comes(base + "/comes");
  comes.method = "PUT";
  auto left = std::make_shared<int>(3);
  comes.stream = [left]() -> promise<shared_bytes> {
    co_await fermata::pause();
    co_return *left == 0 ? shared_bytes() : shared_bytes(std::to_string((*left)--));
  };
  CHECK(loop.run([&] { return get_whole(c, comes); }).body == "PUT /comes 321");
}

TEST_CASE("client rejects with what the source of a body rejects with", "[http][client]") {
  event_loop loop(options_of_run());
  server s(echo);
  client c(direct());
  client_request r("http://" + s.listen("127.0.0.1:0") + "/");
  r.method = "PUT";
  auto left = std::make_shared<int>(2);
  r.stream = [left] {
    if (--*left == 0) return fermata::rejected<shared_bytes>(std::runtime_error("disk is gone"));
    return ready(shared_bytes(std::string("some")));
  };
  CHECK_THROWS_WITH(loop.run([&] { return c.send(r); }), "disk is gone");
}

TEST_CASE("client holds a server back whose body nobody reads", "[http][client]") {
  event_loop loop(options_of_run());
  constexpr std::uint64_t whole_size = 64 << 20;
  auto sent = std::make_shared<std::uint64_t>(0);
  server s([sent](const request&) {
    response out;
    out.stream = [sent]() -> promise<shared_bytes> {
      co_await fermata::pause();
      if (*sent >= whole_size) co_return shared_bytes();
      *sent += 64 * 1024;
      co_return shared_bytes(std::string(64 * 1024, 'x'));
    };
    return ready(std::move(out));
  });
  const std::string url = "http://" + s.listen("127.0.0.1:0") + "/";
  client c(direct());
  loop.run([&]() -> promise<> {
    client_response r = co_await head_of(c, url);
    std::uint64_t before = 1;
    while (*sent != before) {  // until nothing moves any more
      before = *sent;
      co_await fermata::sleep_for(50ms);
    }
    CHECK(*sent < whole_size / 2);
    std::size_t longest = 0;
    const std::uint64_t got = co_await size_of(r.body, longest);
    CHECK(got == whole_size);
    CHECK(longest <= 64 * 1024);
  });
}

TEST_CASE("client holds a source back whose server does not read", "[http][client]") {
  event_loop loop(options_of_run());
  raw_server s([](byte_stream&, std::string) { return fermata::never(); });
  client c(direct());
  constexpr std::uint64_t whole_size = 256 << 20;
  auto given = std::make_shared<std::uint64_t>(0);
  client_request r(s.url());
  r.method = "PUT";
  r.stream = [given]() -> promise<shared_bytes> {
    co_await fermata::pause();
    *given += 64 * 1024;
    co_return shared_bytes(*given > whole_size ? std::string() : std::string(64 * 1024, 'x'));
  };
  loop.run([&]() -> promise<> {
    promise<client_response> sending = c.send(r);
    std::uint64_t before = 1;
    while (*given != before) {
      before = *given;
      co_await fermata::sleep_for(50ms);
    }
    CHECK(*given < whole_size / 2);
    cancel(sending);
  });
}

TEST_CASE("client inflates what it asked for", "[http][client]") {
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += std::to_string(i * 7919);
  const std::string half(text, 0, text.size() / 2);
  const std::string other(text, half.size());
  struct sent {
    const char* coding;
    std::string body;
  };
  const std::vector<sent> forms = {
      {"gzip", deflated(text, as_gzip)},
      {"X-GZIP", deflated(half, as_gzip) + deflated(other, as_gzip)},
      {"deflate", deflated(text, as_zlib)},
      {"deflate", deflated(text, as_raw)},
  };
  event_loop loop(options_of_run());
  client c(direct());
  for (const sent& f : forms) {
    CAPTURE(f.coding);
    raw_server s(says(sized("Content-Encoding: " + std::string(f.coding) + "\r\n", f.body)));
    const whole got = loop.run([&] { return get_whole(c, client_request(s.url())); });
    CHECK((got.body == text));
    CHECK(s.heads[0].find("\r\nAccept-Encoding: gzip, deflate\r\n") != std::string::npos);

    client_request raw(s.url());
    raw.headers.add("Accept-Encoding", "gzip");
    CHECK((loop.run([&] { return get_whole(c, raw); }).body == f.body));
  }
}

TEST_CASE("client pauses between slices that it inflates", "[http][client][pause]") {
  event_loop loop(fermata::testing::options_with(fermata::policy::always()));
  raw_server s(
      says(sized("Content-Encoding: gzip\r\n", deflated(std::string(8 << 20, 'x'), as_gzip))));
  client c(direct());
  loop.run([&]() -> promise<> {
    client_response r = co_await head_of(c, s.url());
    const auto pauses = loop.metrics().pauses;
    std::size_t longest = 0;
    const std::uint64_t got = co_await size_of(r.body, longest);
    CHECK(got == 8 << 20);
    CHECK(longest == 32 * 1024);
    CHECK(loop.metrics().pauses - pauses >= 256);
  });
}

TEST_CASE("client looks for others at each piece of a body", "[http][client][pause]") {
  event_loop loop(fermata::testing::options_with(fermata::policy::always()));
  raw_server s(says(sized("", std::string(16 << 20, 'x'))));
  client c(direct());
  loop.run([&]() -> promise<> {
    client_response r = co_await head_of(c, s.url());
    const auto looks = loop.metrics().looks;
    const std::string body = co_await r.body.read_all(16 << 20);
    CHECK(body.size() == 16 << 20);
    CHECK(loop.metrics().looks - looks >= 256);
  });
}

TEST_CASE("client keeps a connection for the next request", "[http][client]") {
  event_loop loop(options_of_run());
  raw_server s(says(sized("", "hello")));
  client c(direct());
  for (int i = 0; i < 5; ++i) {
    CHECK(loop.run([&] { return get_whole(c, client_request(s.url())); }).body == "hello");
  }
  CHECK(s.connections == 1);
  CHECK(s.heads.size() == 5);
}

TEST_CASE("client has at most so many transfers to one host and in all", "[http][client]") {
  event_loop loop(options_of_run());
  int active = 0;
  int most = 0;
  int expected = 2;
  const auto slow = [&](const request&) -> promise<response> {
    most = std::max(most, ++active);
    while (most < expected) co_await fermata::pause();  // for the others that may come
    for (int i = 0; i < 50; ++i) co_await fermata::pause();
    --active;
    co_return text_response(200, "done");
  };
  server s(slow);
  const std::string a = "http://" + s.listen("127.0.0.1:0") + "/";
  const std::string b = "http://" + s.listen("127.0.0.1:0") + "/";
  fermata::http::client_options options = direct();
  options.most_per_host = 2;
  options.most_transfers = 3;
  client c(std::move(options));
  const auto ask_all = [&](std::vector<std::string> urls) -> promise<> {
    std::vector<promise<whole>> all;
    for (std::string& u : urls) all.push_back(get_whole(c, client_request(std::move(u))));
    for (const promise<whole>& p : all) {
      const whole& got = co_await p;
      CHECK(got.body == "done");
    }
  };
  loop.run([&] { return ask_all(std::vector<std::string>(12, a)); });
  CHECK(most == 2);
  most = 0;
  expected = 3;
  std::vector<std::string> both(12, a);
  both.insert(both.end(), 12, b);
  loop.run([&] { return ask_all(both); });
  CHECK(most == 3);
}

TEST_CASE("client asks for the rest of a body that broke", "[http][client]") {
  const std::string text = "0123456789";
  event_loop loop(options_of_run());
  server s([&](const request& r) {
    fermata::http::representation what;
    what.etag = "\"v2\"";
    what.size = text.size();
    return ready(serve(r, what, shared_bytes(text), {}));
  });
  client c(direct());
  client_request r("http://" + s.listen("127.0.0.1:0") + "/");
  r.resume.emplace();
  r.resume->first = 4;
  r.resume->validator = "\"v2\"";
  const whole rest = loop.run([&] { return get_whole(c, r); });
  CHECK(rest.response.status == 206);
  CHECK(rest.response.first_byte == 4);
  CHECK(rest.body == "456789");

  r.resume->validator = "\"v1\"";  // it has changed since
  const whole all = loop.run([&] { return get_whole(c, r); });
  CHECK(all.response.status == 200);
  CHECK(all.response.first_byte == 0);
  CHECK(all.body == text);

  raw_server wrong(says(
      "HTTP/1.1 206 Partial\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n56789"));
  r.url = wrong.url();
  const client_error e = loop.run([&] { return client_failure_of(c.send(r)); });
  CHECK(e.kind() == client_failure::protocol);
  CHECK(e.what() == "cannot get " + wrong.url() + ": another part came than was asked for");
}

TEST_CASE("client ends a transfer that is cancelled", "[http][client]") {
  event_loop loop(options_of_run());
  bool ended = false;
  auto [told, tell] = fermata::make_promise<>();
  raw_server s([&ended, &tell = tell](byte_stream& to, std::string head) -> promise<> {
    if (head.starts_with("GET /body")) {
      promise<> said = fermata::write_text(to, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome");
      co_await said;
    }
    std::array<std::byte, 8> room;
    std::size_t n = 1;
    try {
      promise<std::size_t> reading = to.read(room);
      n = co_await reading;
    } catch (const fermata::error&) {
      n = 0;
    }
    ended = n == 0;
    tell.resolve();
  });
  client c(direct());
  SECTION("while its head is awaited") {
    loop.run([&, told = told]() -> promise<> {
      promise<client_response> sending = c.send(client_request(s.url("/head")));
      while (s.heads.empty()) co_await fermata::pause();
      cancel(sending);
      const bool ended_1 = co_await rejects_with<fermata::cancelled>(sending);
      CHECK(ended_1);
      co_await told;
    });
  }
  SECTION("by the end of the response") {
    loop.run([&, told = told]() -> promise<> {
      {
        client_response r = co_await head_of(c, s.url("/body"));
        CHECK(r.body.length() == 9);
      }
      co_await told;
    });
  }
  SECTION("while its body is read") {
    loop.run([&, told = told]() -> promise<> {
      client_response r = co_await head_of(c, s.url("/body"));
      const shared_bytes first = co_await r.body.read();
      CHECK(first.view() == "some");
      promise<shared_bytes> reading = r.body.read();
      cancel(reading);
      const bool ended_2 = co_await rejects_with<fermata::cancelled>(reading);
      CHECK(ended_2);
      reading = r.body.read();  // a cancelled read has taken nothing, and disturbs nothing
      r.body.cancel();
      const bool ended_3 = co_await rejects_with<fermata::cancelled>(reading);
      CHECK(ended_3);
      co_await told;
    });
  }
  CHECK(ended);
}

TEST_CASE("client that is gone rejects what is under way", "[http][client]") {
  event_loop loop(options_of_run());
  raw_server s(says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome"));
  auto c = std::make_unique<client>(direct());
  loop.run([&]() -> promise<> {
    client_response r = co_await head_of(*c, s.url());
    promise<std::string> reading = r.body.read_all(9);
    promise<client_response> sending = c->send(client_request(s.url()));
    c.reset();
    const bool ended_4 = co_await rejects_with<fermata::loop_closed>(reading);
    CHECK(ended_4);
    const bool ended_5 = co_await rejects_with<fermata::loop_closed>(sending);
    CHECK(ended_5);
    promise<shared_bytes> late = r.body.read();
    const bool ended_6 = co_await rejects_with<fermata::loop_closed>(late);
    CHECK(ended_6);
  });
}

TEST_CASE("client reads files where it may", "[http][client]") {
  const fermata::test::temp_folder folder;
  const std::string path = (folder.path() / "f").string();
  std::ofstream(path) << "in a file";
  event_loop loop(options_of_run());
  client c(direct());
  client_request r("file://" + path);
  const client_error e = loop.run([&] { return client_failure_of(c.send(r)); });
  CHECK(e.kind() == client_failure::url);
  CHECK(e.what() == "cannot use the URL file://" + path + ": its scheme is not allowed");
  r.options = c.defaults();
  r.options->allow_file = true;
  const whole got = loop.run([&] { return get_whole(c, r); });
  CHECK(got.response.status == 200);
  CHECK(got.body == "in a file");
  r.url += "-absent";
  const client_error absent = loop.run([&] { return client_failure_of(c.send(r)); });
  CHECK(absent.kind() == client_failure::url);
}
