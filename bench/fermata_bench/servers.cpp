// SPDX-License-Identifier: MIT
// The servers that load generators of other processes ask: TCP echo, Fibonacci numbers, HTTP.

#include "cases.hpp"

#include <fermata/http/served_file.hpp>
#include <fermata/http/server.hpp>
#include <fermata/loop/worker_pool.hpp>
#include <fermata/promise/buffered.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/signals.hpp>
#include <fermata/promise/tcp.hpp>

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace bench {
namespace {

using fermata::byte_stream;
using fermata::promise;
using fermata::scope;
using namespace std::chrono_literals;

constexpr std::size_t longest_line = 64;
constexpr std::uint64_t largest_fib = 90;

std::string local(std::uint16_t port) { return fmt::format("127.0.0.1:{}", port); }

// "ready", and the port where it was for the system to choose.
void say_ready(std::uint16_t asked, std::uint16_t real) {
  if (asked == 0) {
    fmt::print("ready {}\n", real);
  } else {
    fmt::print("ready\n");
  }
  std::fflush(stdout);
}

promise<> echo(byte_stream& client) {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const std::size_t count = co_await client.read(buffer);
    if (count == 0) co_return;
    co_await client.write(std::span(buffer).first(count));
  }
}

std::uint64_t fib(std::uint64_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

promise<std::string> answer(std::string line) {
  std::uint64_t n = 0;
  const char* const end = line.data() + line.size();
  const auto [stop, error] = std::from_chars(line.data(), end, n);
  if (error != std::errc() || stop != end || n > largest_fib) co_return "not a number up to 90\n";
  promise<std::uint64_t> result = fermata::detach(fib, n);
  const std::uint64_t value = co_await result;
  co_return fmt::format("{}\n", value);
}

promise<> answer_lines(byte_stream& client) {
  fermata::buffered_reader reader(client);
  for (;;) {
    const std::optional<std::string> line = co_await reader.read_line(longest_line);
    if (!line) co_return;
    promise<std::string> answered = answer(*line);
    const std::string& text = co_await answered;
    co_await client.write(fermata::bytes_of(text));
  }
}

using conversation = promise<> (*)(byte_stream&);

promise<> serve_one(std::unique_ptr<byte_stream> client, conversation talk) {
  try {
    co_await talk(*client);
  } catch (const fermata::error&) {
    client->close();  // a client that goes away disturbs nobody
  }
}

promise<> accept_all(scope& clients, fermata::tcp_listener& listener, conversation talk) {
  for (;;) {
    auto client = co_await listener.accept();
    clients.fork_daemon(
        [c = std::move(client), talk]() mutable { return serve_one(std::move(c), talk); });
  }
}

void serve_tcp(std::uint16_t port, unsigned workers, conversation talk) {
  fermata::event_loop loop;
  if (workers > 0) loop.pool().set_bounds({workers, workers});
  loop.run([&] {
    return scope::run([&](scope& s) -> promise<> {
      fermata::signal_source stop({SIGTERM, SIGINT});
      fermata::tcp_listener listener(local(port));
      s.fork_daemon([&] { return accept_all(s, listener, talk); });
      say_ready(port, listener.port());
      co_await stop.next();
    });
  });
}

std::string content_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in.is_open() || in.bad()) throw fermata::error("cannot read " + file);
  return text;
}

fermata::http::handler always(std::string text) {
  return [bytes = fermata::http::shared_bytes(std::move(text))](const fermata::http::request&) {
    fermata::http::response r(200);
    r.headers.add("Content-Type", "text/plain");
    r.body = bytes;
    return fermata::ready(std::move(r));
  };
}

promise<fermata::http::response> a_file(fermata::http::file_cache& files,
                                        std::string path,
                                        const fermata::http::request& r) {
  promise<fermata::http::served_file> opening = files.open(std::move(path));
  const fermata::http::served_file file = co_await std::move(opening);
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  co_return fermata::http::serve(r, file.describe("text/plain"), file, now);
}

}  // namespace

void serve_echo(std::uint16_t port) { serve_tcp(port, 0, echo); }
void serve_fib(std::uint16_t port, unsigned workers) { serve_tcp(port, workers, answer_lines); }

void serve_http(std::uint16_t port, const std::string& file, const std::string& folder) {
  fermata::http::router router;
  router.on("GET", "/", always("Hello, World!"));
  router.on("GET", "/1k", always(std::string(1024, 'k')));
  if (!file.empty()) router.on("GET", "/10m", always(content_of(file)));
  fermata::event_loop loop;
  fermata::http::file_cache files;
  if (!folder.empty()) {
    router.on_prefix("GET", "/f/", [&](const fermata::http::request& r) {
      return a_file(files, folder + r.path().substr(2), r);
    });
  }
  loop.run([&]() -> promise<> {
    fermata::signal_source stop({SIGTERM, SIGINT});
    fermata::http::server server([&](const fermata::http::request& r) { return router(r); });
    const std::string address = server.listen(local(port));
    const std::string_view real = std::string_view(address).substr(address.rfind(':') + 1);
    std::uint16_t real_port = 0;
    std::from_chars(real.data(), real.data() + real.size(), real_port);
    say_ready(port, real_port);
    co_await stop.next();
    co_await server.shutdown(1s);
  });
}

}  // namespace bench
