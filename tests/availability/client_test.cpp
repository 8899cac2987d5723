// SPDX-License-Identifier: MIT
// The bound on a loop whose client receives a large body over TLS: the work of it is elsewhere.

#include "bound.hpp"
#include "support/tls_server.hpp"

#include <fermata/http/client.hpp>
#include <fermata/loop/event_loop.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <utility>

using fermata::event_loop;
using fermata::promise;
using fermata::http::client;
using fermata::http::client_request;
using fermata::http::client_response;
using fermata::http::shared_bytes;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t size = 64 << 20;

promise<std::uint64_t> receive(client& c, client_request r) {
  promise<client_response> sending = c.send(std::move(r));
  client_response answer = co_await std::move(sending);
  std::uint64_t received = 0;
  for (;;) {
    promise<shared_bytes> reading = answer.body.read();
    const shared_bytes piece = co_await reading;
    if (piece.empty()) co_return received;
    received += piece.size();
  }
}

}  // namespace

TEST_CASE("a body of 64 MiB over https holds its loop for less than 2 ms", "[availability]") {
  fermata::loop_options options;
  options.measure_cpu = true;
  event_loop loop(std::move(options));
  fermata::test::tls_server s;
  loop.run([&] { return s.start(); });
  std::ofstream(s.folder.path() / "large")
      << "HTTP/1.1 200 OK\r\nContent-Length: " << size << "\r\n\r\n"
      << std::string(size, 'x');
  const std::chrono::nanoseconds least = fermata::test::least_gap([&] {
    client c;
    client_request r("https://" + s.address + "/large");
    r.options = c.defaults();
    r.options->proxy = "";
    r.options->ca_file = (s.folder.path() / "ca.pem").string();
    loop.reset_gaps();
    CHECK(loop.run([&] { return receive(c, r); }) == size);
    return loop.metrics().longest_gap.cpu;
  });
  CHECK(least > 0ns);
  CHECK(least <= fermata::test::bound());
}
