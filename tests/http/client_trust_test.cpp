// SPDX-License-Identifier: MIT
// Redirects, credentials, proxies and certificates: who may be told what.

#include "client_support.hpp"
#include "support/temp_repository.hpp"
#include "support/tls_server.hpp"

#include <cstdlib>
#include <fstream>
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
using fermata::http::redirection;
using fermata::http::shared_bytes;
using fermata::http::test::client_failure_of;
using fermata::http::test::direct;
using fermata::http::test::get_whole;
using fermata::http::test::raw_server;
using fermata::http::test::says;
using fermata::http::test::sized;
using fermata::http::test::whole;
using fermata::test::temp_folder;
using fermata::test::tls_server;
using fermata::testing::options_of_run;

namespace {

std::string moved(int status, const std::string& to) {
  return "HTTP/1.1 " + std::to_string(status) + " Moved\r\nLocation: " + to +
         "\r\nContent-Length: 4\r\n\r\ngone";
}

// /n leads to /n-1, and /0 is there.
promise<> countdown(byte_stream& s, std::string head) {
  const int n = std::atoi(head.c_str() + head.find('/') + 1);
  return fermata::write_text(s, n == 0 ? sized("", "here") : moved(302, std::to_string(n - 1)));
}

bool has_field(const std::string& head, const std::string& field) {
  return head.find("\r\n" + field) != std::string::npos;
}

}  // namespace

TEST_CASE("client follows redirects up to its limit", "[http][client][redirect]") {
  event_loop loop(options_of_run());
  raw_server s(countdown);
  client c(direct());
  const whole got = loop.run([&] { return get_whole(c, client_request(s.url("/10"))); });
  CHECK(got.response.status == 200);
  CHECK(got.response.url == s.url("/0"));
  CHECK(got.body == "here");
  CHECK(s.heads.size() == 11);
  CHECK(s.connections == 1);  // what a redirect says is read

  const client_error e =
      loop.run([&] { return client_failure_of(c.send(client_request(s.url("/11")))); });
  CHECK(e.kind() == client_failure::redirect);
  CHECK(e.what() == "cannot get " + s.url("/1") + ": more than 10 redirects");

  client_request none(s.url("/1"));
  none.options = c.defaults();
  none.options->most_redirects = 0;
  const whole first = loop.run([&] { return get_whole(c, none); });
  CHECK(first.response.status == 302);
  CHECK(first.response.headers.find("location") == "0");
  CHECK(first.body == "gone");
}

TEST_CASE("client ends where redirects go round", "[http][client][redirect]") {
  event_loop loop(options_of_run());
  raw_server s(says(moved(301, "/again")));
  client c(direct());
  const client_error e =
      loop.run([&] { return client_failure_of(c.send(client_request(s.url("/again")))); });
  CHECK(e.kind() == client_failure::redirect);
  CHECK(s.heads.size() == 11);
}

TEST_CASE("client asks whether it may follow", "[http][client][redirect]") {
  event_loop loop(options_of_run());
  raw_server s(countdown);
  std::vector<redirection> asked;
  client_options options = direct();
  options.defaults.may_redirect = [&](const redirection& r) {
    asked.push_back(r);
    return asked.size() < 2;
  };
  client c(std::move(options));
  const client_error e =
      loop.run([&] { return client_failure_of(c.send(client_request(s.url("/3")))); });
  CHECK(e.kind() == client_failure::redirect);
  CHECK(e.what() == "cannot get " + s.url("/2") + ": a redirect to " + s.url("/1") + " is refused");
  REQUIRE(asked.size() == 2);
  CHECK(asked[0].status == 302);
  CHECK(asked[0].from == s.url("/3"));
  CHECK(asked[0].to == s.url("/2"));
  CHECK(asked[0].same_origin);
}

TEST_CASE("client sends a redirected request as its status says", "[http][client][redirect]") {
  struct sent {
    int status;
    std::string method;
    std::string expected;
  };
  const std::vector<sent> all = {
      {301, "POST", "GET"}, {302, "POST", "GET"},  {303, "PUT", "GET"},   {307, "POST", "POST"},
      {308, "PUT", "PUT"},  {302, "HEAD", "HEAD"}, {303, "HEAD", "HEAD"}, {301, "DELETE", "DELETE"},
  };
  for (const sent& one : all) {
    CAPTURE(one.status, one.method);
    event_loop loop(options_of_run());
    fermata::http::server s([&](const fermata::http::request& r) {
      fermata::http::response out(200);
      if (r.path() == "/from") {
        out.status = one.status;
        out.headers.add("Location", "/to");
      } else {
        out.headers.add("X-Method", r.method());
        out.headers.add("X-Body", r.body().empty() ? "none" : r.body());
      }
      return fermata::ready(std::move(out));
    });
    client c(direct());
    client_request r("http://" + s.listen("127.0.0.1:0") + "/from");
    r.method = one.method;
    if (one.method[0] == 'P') r.body = shared_bytes(std::string("body"));
    const whole got = loop.run([&] { return get_whole(c, r); });
    CHECK(got.response.status == 200);
    CHECK(got.response.headers.find("X-Method") == one.expected);
    CHECK(got.response.headers.find("X-Body") == (one.expected[0] == 'P' ? "body" : "none"));
  }
}

TEST_CASE("client cannot send a streamed body twice", "[http][client][redirect]") {
  event_loop loop(options_of_run());
  raw_server s(says(moved(307, "/to")));
  client c(direct());
  client_request r(s.url());
  r.method = "PUT";
  r.stream = [] { return fermata::ready(shared_bytes()); };
  const client_error e = loop.run([&] { return client_failure_of(c.send(r)); });
  CHECK(e.kind() == client_failure::redirect);
  CHECK(e.what() == "cannot put " + s.url() + ": a streamed body cannot be sent again");
}

TEST_CASE("client is led to no file", "[http][client][redirect]") {
  event_loop loop(options_of_run());
  client_options options = direct();
  options.defaults.allow_file = true;
  client c(std::move(options));
  for (const char* to : {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/"}) {
    raw_server s(says(moved(302, to)));
    const client_error e =
        loop.run([&] { return client_failure_of(c.send(client_request(s.url()))); });
    CHECK(e.kind() == client_failure::redirect);
    CHECK(e.what() == "cannot follow a redirect of " + s.url() + " to " + to);
  }
}

TEST_CASE("client gives credentials to the origin they are for", "[http][client][credentials]") {
  event_loop loop(options_of_run());
  raw_server other(says(sized("", "other")));
  raw_server own([&](byte_stream& s, std::string head) {
    std::string answer = sized("", "own");
    if (head.starts_with("GET /far")) answer = moved(302, other.url("/x"));
    if (head.starts_with("GET /near")) answer = moved(302, "/here");
    return fermata::write_text(s, std::move(answer));
  });
  client c(direct());
  const std::string basic = "Authorization: Basic bWU6c2VjcmV0\r\n";
  client_request r;
  std::string field = basic;
  r.options = c.defaults();
  SECTION("in the URL") { r.url = "http://me:secret@" + own.address(); }
  SECTION("a name and a password") {
    r.url = "http://" + own.address();
    r.options->credentials.emplace();
    r.options->credentials->user = "me";
    r.options->credentials->password = "secret";
  }
  SECTION("a token") {
    r.url = "http://" + own.address();
    r.options->credentials.emplace();
    r.options->credentials->token = "t0ken";
    field = "Authorization: Bearer t0ken\r\n";
  }
  SECTION("a field") {
    r.url = "http://" + own.address();
    r.headers.add("Authorization", "Own secret");
    r.headers.add("Cookie", "a=b");
    field = "Authorization: Own secret\r\n";
  }
  const std::string base = r.url;
  for (const char* path : {"/near", "/far"}) {
    r.url = base + path;
    const whole got = loop.run([&] { return get_whole(c, r); });
    CHECK(got.response.status == 200);
    CHECK(got.response.url.find("secret") == std::string::npos);
  }
  REQUIRE(own.heads.size() == 3);
  for (const std::string& head : own.heads) CHECK(has_field(head, field));
  REQUIRE(other.heads.size() == 1);
  CHECK_FALSE(has_field(other.heads[0], "Authorization"));
  CHECK_FALSE(has_field(other.heads[0], "Cookie"));
}

TEST_CASE("client looks credentials up in a netrc file", "[http][client][credentials]") {
  const temp_folder folder;
  const std::string path = (folder.path() / "netrc").string();
  std::ofstream(path) << "machine 127.0.0.1 login me password secret\n";
  event_loop loop(options_of_run());
  raw_server s(says(sized("", "x")));
  client c(direct());
  client_request r(s.url());
  r.options = c.defaults();
  r.options->netrc_file = path;
  CHECK(loop.run([&] { return get_whole(c, r); }).body == "x");
  r.options->netrc_file.clear();
  CHECK(loop.run([&] { return get_whole(c, r); }).body == "x");
  CHECK(has_field(s.heads[0], "Authorization: Basic bWU6c2VjcmV0\r\n"));
  CHECK_FALSE(has_field(s.heads[1], "Authorization"));
}

TEST_CASE("client goes through a proxy", "[http][client][proxy]") {
  event_loop loop(options_of_run());
  raw_server proxy([](byte_stream& s, std::string head) {
    return fermata::write_text(s, head.starts_with("CONNECT ")
                                      ? "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
                                      : sized("", "by proxy"));
  });
  SECTION("that an option names") {
    client_options options;
    options.defaults.proxy = "http://pat:hush@" + proxy.address();
    client c(std::move(options));
    const whole got =
        loop.run([&] { return get_whole(c, client_request("http://absent.invalid/x")); });
    CHECK(got.body == "by proxy");
    CHECK(proxy.heads[0].starts_with("GET http://absent.invalid/x HTTP/1.1\r\n"));
    CHECK(has_field(proxy.heads[0], "Proxy-Authorization: Basic cGF0Omh1c2g=\r\n"));

    const client_error e = loop.run(
        [&] { return client_failure_of(c.send(client_request("https://absent.invalid/x"))); });
    CHECK(e.kind() == client_failure::connect);
    CHECK(std::string(e.what()).find("403") != std::string::npos);
    CHECK(std::string(e.what()).find("hush") == std::string::npos);
  }
  SECTION("that the environment names") {
    ::setenv("http_proxy", ("http://" + proxy.address()).c_str(), 1);
    ::setenv("no_proxy", "127.0.0.1", 1);
    client c;
    const whole got =
        loop.run([&] { return get_whole(c, client_request("http://absent.invalid/x")); });
    CHECK(got.body == "by proxy");
    raw_server near(says(sized("", "near")));
    CHECK(loop.run([&] { return get_whole(c, client_request(near.url())); }).body == "near");
    ::unsetenv("http_proxy");
    ::unsetenv("no_proxy");
  }
}

TEST_CASE("client trusts whom it is told to trust", "[http][client][tls]") {
  event_loop loop(options_of_run());
  tls_server s;
  loop.run([&] { return s.start(); });
  constexpr std::size_t size = 16 << 20;
  std::ofstream(s.folder.path() / "large") << sized("", std::string(size, 'x'));
  client_request r("https://" + s.address + "/large");
  r.options = direct().defaults;
  // The server has one connection at a time, which ends with its client.
  const auto get = [&](client_request asked) {
    client c(direct());
    return loop.run([&] { return get_whole(c, std::move(asked)); });
  };
  const auto failure = [&](client_request asked) {
    client c(direct());
    return loop.run([&] { return client_failure_of(c.send(std::move(asked))); });
  };

  const client_error unknown = failure(r);
  CHECK(unknown.kind() == client_failure::tls);
  CHECK(std::string(unknown.what()).find("certificate") != std::string::npos);

  r.options->ca_file = (s.folder.path() / "ca.pem").string();
  CHECK(get(r).body.size() == size);

  client_request by_name(r);
  by_name.url = "https://localhost" + s.address.substr(s.address.find(':')) + "/large";
  CHECK(failure(by_name).kind() == client_failure::tls);

  r.options->ca_file = (s.folder.path() / "absent.pem").string();
  CHECK(failure(r).kind() == client_failure::tls);

  r.options->ca_file.clear();
  r.options->verify = false;
  CHECK(get(r).body.size() == size);
}
