// SPDX-License-Identifier: MIT
// Answers each line "N" with the N-th Fibonacci number, and tells at its end how long the loop was
// held at most.
//
// usage: fib_server (detached WORKERS | inline | helping WORKERS) PORT
//
// detached: on worker threads, so the loop only reads and writes. inline: on the loop in one go,
// nobody is accepted or answered meanwhile. helping: as a coroutine that pauses, on the threads of
// an executor, and on the loop as well where these are busy: so its core is of use too.

#include <fermata/loop/worker_pool.hpp>
#include <fermata/promise/buffered.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/executor.hpp>
#include <fermata/promise/heartbeat.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/signals.hpp>
#include <fermata/promise/tcp.hpp>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <vector>

using fermata::promise;
using fermata::scope;
using namespace std::chrono_literals;

namespace {

enum class mode { detached, inlined, helping };

struct calculator {
  mode how;
  fermata::executor* helped = nullptr;  // where helping
};

constexpr std::size_t longest_line = 64;
constexpr int largest = 45;
const std::string wrong = "not a number up to 45\n";

std::uint64_t fib(int n) { return n < 2 ? static_cast<std::uint64_t>(n) : fib(n - 1) + fib(n - 2); }

// [helping]
promise<std::uint64_t> fib_with_pauses(int n) {
  if (n < 16) {
    const std::uint64_t small = fib(n);  // about a thousand calls: too few to look at each
    co_await fermata::maybe_pause(5us);
    co_return small;
  }
  promise<std::uint64_t> left = fib_with_pauses(n - 1);
  const std::uint64_t a = co_await left;
  promise<std::uint64_t> right = fib_with_pauses(n - 2);
  const std::uint64_t b = co_await right;
  co_return a + b;
}
// [/helping]

promise<std::uint64_t> compute(calculator c, int n) {
  switch (c.how) {
    case mode::detached:
      return fermata::detach(fib, n);
    case mode::helping:
      return c.helped->submit([n] { return fib_with_pauses(n); });
    default:
      return fermata::ready(fib(n));
  }
}

promise<std::string> answer(calculator c, std::string line) {
  int n = 0;
  const char* const end = line.data() + line.size();
  const auto [stop, error] = std::from_chars(line.data(), end, n);
  if (error != std::errc() || stop != end || n < 0 || n > largest) co_return wrong;
  promise<std::uint64_t> result = compute(c, n);
  co_return std::to_string(co_await result) + "\n";
}

promise<> answer_lines(fermata::byte_stream& client, calculator c) {
  fermata::buffered_reader reader(client);
  for (;;) {
    const std::optional<std::string> line = co_await reader.read_line(longest_line);
    if (!line) co_return;
    promise<std::string> answered = answer(c, *line);
    const std::string text = co_await answered;
    co_await client.write(fermata::bytes_of(text));
  }
}

promise<> serve_one(std::unique_ptr<fermata::byte_stream> client, calculator c) {
  bool is_too_long = false;
  try {
    co_await answer_lines(*client, c);
  } catch (const fermata::limit_reached&) {
    is_too_long = true;
  } catch (const fermata::error&) {  // a client that goes away disturbs nobody
  }
  if (!is_too_long) co_return;
  try {
    co_await client->write(fermata::bytes_of(wrong));
  } catch (const fermata::error&) {  // gone as well
  }
}

promise<> accept_all(scope& clients, fermata::tcp_listener& listener, calculator c) {
  for (;;) {
    auto client = co_await listener.accept();
    clients.fork_daemon(
        [s = std::move(client), c]() mutable { return serve_one(std::move(s), c); });
  }
}

promise<> serve_until_stopped(scope& s, fermata::tcp_listener& listener, calculator c) {
  fermata::signal_source stop({SIGTERM, SIGINT});
  s.fork_daemon([&s, &listener, c] { return accept_all(s, listener, c); });
  std::printf("port %u\n", unsigned{listener.port()});
  std::fflush(stdout);
  co_await stop.next();
}

}  // namespace

int main(int count, char** arguments) try {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  const std::string first = words.empty() ? "" : words[0];
  const bool is_inline = first == "inline";
  const bool is_known = is_inline || first == "detached" || first == "helping";
  if (!is_known || words.size() != (is_inline ? 2U : 3U)) {
    std::fputs("usage: fib_server (detached WORKERS | inline | helping WORKERS) PORT\n", stderr);
    return 2;
  }
  const std::size_t workers = is_inline ? 0 : std::stoul(words[1]);
  fermata::event_loop loop;
  std::optional<fermata::executor> helped;
  calculator c{is_inline ? mode::inlined : mode::detached};
  if (first == "helping") {
    fermata::executor_options options;
    options.threads = workers;
    options.helps = fermata::helping::yes;
    c = {mode::helping, &helped.emplace(options)};
  } else if (!is_inline) {
    loop.pool().set_bounds({workers, workers});
  }
  fermata::tcp_listener listener("127.0.0.1:" + words.back());
  fermata::heartbeat pulse(loop, 1ms);
  loop.run(
      [&] { return scope::run([&](scope& s) { return serve_until_stopped(s, listener, c); }); });
  const std::chrono::duration<double, std::micro> held = pulse.longest();
  std::printf("longest gap %.0f us\n", held.count());
} catch (const std::exception& e) {
  std::fprintf(stderr, "fib_server: %s\n", e.what());
  return 1;
}
