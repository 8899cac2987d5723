// SPDX-License-Identifier: MIT
// A TCP server that sends back what it gets, and a client that asks it once.

#include <fermata/promise/scope.hpp>
#include <fermata/promise/tcp.hpp>

#include <array>
#include <cstdio>

using fermata::promise;
using fermata::scope;

namespace {

// [echo]
promise<> echo(std::unique_ptr<fermata::byte_stream> client) {
  std::array<std::byte, 4096> buffer;
  try {
    for (;;) {
      const std::size_t count = co_await client->read(buffer);
      if (count == 0) co_return;
      co_await client->write(std::span(buffer).first(count));
    }
  } catch (const fermata::error& e) {  // this client is gone; the others go on
    std::printf("%s\n", e.what());
  }
}

promise<> serve(scope& clients, fermata::tcp_listener& listener) {
  for (;;) {
    auto client = co_await listener.accept();
    clients.fork([c = std::move(client)]() mutable { return echo(std::move(c)); });
  }
}
// [/echo]

promise<> ask(std::uint16_t port) {
  auto server = co_await fermata::tcp_connect("127.0.0.1", port);
  co_await fermata::write_text(*server, "is anybody there?");
  co_await server->shutdown();
  const std::string answer = co_await fermata::read_to_end(*server, 1000);
  std::printf("%s\n", answer.c_str());
}

promise<> serve_one_question(scope& s, fermata::tcp_listener& listener) {
  s.fork_daemon([&] { return serve(s, listener); });  // cancelled when all else has ended
  return ask(listener.port());
}

}  // namespace

int main() {
  fermata::event_loop loop;
  fermata::tcp_listener listener("127.0.0.1:0");
  loop.run([&] { return scope::run([&](scope& s) { return serve_one_question(s, listener); }); });
}
