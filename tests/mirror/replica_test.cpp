// SPDX-License-Identifier: MIT
// One service on several loops.

#include "program_support.hpp"

#include <fermata/mirror/service_replica.hpp>
#include <fermata/promise/loop_thread.hpp>
#include <fermata/promise/sleep.hpp>

#include <catch2/catch.hpp>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <future>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

promise<> live(service_link link, std::promise<std::string>* address) {
  service_replica replica(link);
  tcp_listener listener("127.0.0.1:0");
  address->set_value(listener.address());
  replica.serve(std::move(listener));
  promise<> working = replica.run();
  try {
    co_await working;
  } catch (const cancelled&) {
  }
  promise<> closed = replica.shutdown(std::chrono::seconds(1));
  co_await closed;
}

// A replica of a site's service on a thread of its own.
struct replica_site {
  explicit replica_site(site& s) : of(s) {
    std::promise<std::string> told;
    std::future<std::string> address = told.get_future();
    const service_link link = of.mirror.link();
    of.loop.run(
        [&] { running = thread.submit([link, told = &told] { return live(link, told); }); });
    port = port_of(address.get());
  }
  ~replica_site() {
    of.loop.run([this] {
      cancel(running);
      return running.catch_([](std::exception_ptr) { return ready(); });
    });
  }
  answer ask(std::string method, std::string path, std::string fields = "") {
    return of.loop.run([&] { return ask_port(port, method, path, fields); });
  }
  answer get(std::string path, std::string fields = "") { return ask("GET", path, fields); }

  site& of;
  loop_thread thread;
  promise<> running;
  std::uint16_t port = 0;
};

}  // namespace

TEST_CASE("a replica answers as its service does, before and after an update", "[mirror][loops]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  replica_site second(s);
  s.wait_for("served");
  for (const char* path : {"/index.tar.gz", "/repo", "/version", "/readyz", "/absent"}) {
    INFO(path);
    const answer one = s.get(path);
    const answer other = second.get(path);
    CHECK(one.status == other.status);
    CHECK(one.body == other.body);
    CHECK(one.field("ETag") == other.field("ETag"));
    CHECK(one.field("Cache-Control") == other.field("Cache-Control"));
  }
  const answer before = second.get("/index.tar.gz");
  CHECK(second.get("/index.tar.gz", "If-None-Match: " + before.field("ETag") + "\r\n").status ==
        304);
  add_commit(folder, "3");
  CHECK_THAT(second.ask("POST", "/update", "Content-Length: 0\r\n").body,
             StartsWith("an update begins\n"));
  s.wait_for("served");
  CHECK_THAT(second.get("/repo").body, Contains(head_of(folder)));
}

TEST_CASE("what a replica counts is in the service's metrics", "[mirror][loops]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  s.wait_for("served");
  {
    replica_site second(s);
    second.get("/readyz");  // the other loop's: the replica has begun when it is there
    for (int i = 0; i < 3; ++i) CHECK(second.get("/version").status == 200);
  }
  CHECK_THAT(s.get("/metrics").body,
             Contains("fermata_http_requests_total{endpoint=\"version\",code=\"2xx\"} 3\n"));
}

TEST_CASE("the status page is live through a replica", "[mirror][loops]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  s.wait_for("served");
  replica_site second(s);
  std::unique_ptr<byte_stream> viewer =
      s.loop.run([&] { return tcp_connect("127.0.0.1", second.port, connect_options()); });
  s.loop.run([&] { return write_text(*viewer, request_text("GET", "/status/events", "")); });
  std::string got;
  while (got.find("\"banner\"") == std::string::npos) {
    std::string piece(1000, '\0');
    const std::size_t n =
        s.loop.run([&] { return viewer->read(std::as_writable_bytes(std::span<char>(piece))); });
    REQUIRE(n > 0);
    got.append(piece, 0, n);
  }
  CHECK_THAT(got, Contains("Content-Type: text/event-stream\r\n"));
}

namespace {

promise<std::string> look_once(std::uint16_t port) {
  promise<std::unique_ptr<byte_stream>> connecting =
      tcp_connect("127.0.0.1", port, connect_options());
  const std::unique_ptr<byte_stream> viewer = co_await std::move(connecting);
  promise<> asked = write_text(*viewer, request_text("GET", "/status/events", ""));
  co_await asked;
  promise<> ended = viewer->shutdown();
  co_await ended;
  promise<std::string> reading = read_to_end(*viewer, std::size_t{1} << 20);
  try {
    co_return co_await std::move(reading);
  } catch (const error& e) {  // it is cut: this page has no end
    co_return e.what();
  }
}

}  // namespace

TEST_CASE("who leaves the live status page is let go", "[mirror][loops]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  s.wait_for("served");
  replica_site second(s);
  const auto look_at = [&s](std::uint16_t port) {
    s.loop.run([port] { return with_timeout(std::chrono::minutes(1), look_once(port)); });
  };
  CHECK_NOTHROW(look_at(s.port()));
  CHECK_NOTHROW(look_at(second.port));
}

TEST_CASE("fermata-mirror serves from several loops, and stops", "[mirror][program]") {
  const temp_folder folder;
  make_repository(folder);
  const std::string log = (folder.path() / "access").string();
  mirror_process m(
      {"--remote", (folder.path() / "r").string(), "--loops", "3", "--access-log", log});
  CHECK_THAT(m.line(), StartsWith("serving"));
  for (int i = 0; i < 12; ++i) {
    const answer a = m.loop().run(
        [&] { return ask_port(port_of(m.authority()), "GET", "/repo?n", "User-Agent: a\"b\r\n"); });
    CHECK(a.status == 200);
  }
  CHECK(m.stop(SIGTERM).is_success());
  const std::string lines = folder.output("cat access");
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 12);
  CHECK_THAT(lines,
             Catch::Matchers::Matches("(127\\.0\\.0\\.1 - - \\[[^\\]]+ \\+0000\\] \"GET /repo\\?n "
                                      "HTTP/1\\.1\" 200 [0-9]+ \"-\" \"a\\\\x22b\" "
                                      "0\\.[0-9]{6}\n){12}"));
}

TEST_CASE("a service takes over a socket that listens already", "[mirror][loops]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  unique_fd socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
  s.loop.run([&] {
    unique_fd deaf(::dup(socket.get()));
    CHECK_THROWS_WITH(tcp_listener(std::move(deaf)),
                      "cannot take over a socket: it does not listen");
  });
  REQUIRE(::listen(socket.get(), 8) == 0);
  const std::uint16_t port = s.loop.run([&] {
    tcp_listener listener(std::move(socket));
    const std::uint16_t real = listener.port();
    s.mirror.serve(std::move(listener));
    return real;
  });
  CHECK(s.loop.run([&] { return ask_port(port, "GET", "/healthz"); }).status == 200);
}
