// SPDX-License-Identifier: MIT
// Ten connections ask a fib_server ten times each, check every answer and print how long it took;
// or, with `beside`, one asks while others come, ask for little and go, until it has its answer.
//
// usage: fib_client PORT N [beside]

#include <fermata/promise/buffered.hpp>
#include <fermata/promise/combine.hpp>
#include <fermata/promise/tcp.hpp>

#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using fermata::promise;

namespace {

constexpr int connections = 10;
constexpr int requests = 10;

std::string fib(int n) {
  std::uint64_t a = 0;
  std::uint64_t b = 1;
  for (int i = 0; i < n; ++i) b += std::exchange(a, b);
  return std::to_string(a);
}

promise<> ask(fermata::byte_stream& server,
              fermata::buffered_reader& reader,
              std::string question,
              std::string expected) {
  const std::string line = question + "\n";
  co_await server.write(fermata::bytes_of(line));
  const std::optional<std::string> answer = co_await reader.read_line(100);
  if (answer != expected) {
    throw fermata::error("cannot use the answer to " + question + ": " + answer.value_or("none"));
  }
}

promise<> ask_often(std::uint16_t port, int n) {
  promise<std::unique_ptr<fermata::byte_stream>> connected =
      fermata::tcp_connect("127.0.0.1", port);
  const std::unique_ptr<fermata::byte_stream> server = co_await std::move(connected);
  fermata::buffered_reader reader(*server);
  for (int i = 0; i < requests; ++i) {
    promise<> asked = ask(*server, reader, std::to_string(n), fib(n));
    co_await asked;
  }
  // Wrong input is answered, and the connection is of use afterwards.
  promise<> refused = ask(*server, reader, "twenty", "not a number up to 45");
  co_await refused;
  promise<> asked = ask(*server, reader, "10", "55");
  co_await asked;
}

promise<> ask_on_all(std::uint16_t port, int n) {
  std::vector<promise<>> all;
  for (int i = 0; i < connections; ++i) all.push_back(ask_often(port, n));
  return fermata::join(std::move(all));
}

promise<> ask_once(std::uint16_t port, std::string question, std::string expected) {
  promise<std::unique_ptr<fermata::byte_stream>> connected =
      fermata::tcp_connect("127.0.0.1", port);
  const std::unique_ptr<fermata::byte_stream> server = co_await std::move(connected);
  fermata::buffered_reader reader(*server);
  promise<> asked = ask(*server, reader, std::move(question), std::move(expected));
  co_await asked;
}

// Gives how many were accepted and answered before the answer to N came.
promise<int> ask_beside(std::uint16_t port, int n) {
  const promise<> large = ask_once(port, std::to_string(n), fib(n));
  int answers = 0;
  while (large.is_pending()) {
    promise<> small = ask_once(port, "10", "55");
    co_await small;
    if (large.is_pending()) ++answers;
  }
  co_await large;
  co_return answers;
}

}  // namespace

int main(int count, char** arguments) try {
  const bool is_beside = count == 4 && std::string(arguments[3]) == "beside";
  if (count != 3 && !is_beside) {
    std::fputs("usage: fib_client PORT N [beside]\n", stderr);
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::stoul(arguments[1]));
  const int n = std::stoi(arguments[2]);
  fermata::event_loop loop;
  if (is_beside) {
    const int answers = loop.run([&] { return ask_beside(port, n); });
    std::printf("%d answers beside\n", answers);
    return 0;
  }
  const auto begin = loop.now();
  loop.run([&] { return ask_on_all(port, n); });
  const std::chrono::duration<double, std::milli> elapsed = loop.now() - begin;
  std::printf("%d answers in %.1f ms\n", connections * requests, elapsed.count());
} catch (const std::exception& e) {
  std::fprintf(stderr, "fib_client: %s\n", e.what());
  return 1;
}
