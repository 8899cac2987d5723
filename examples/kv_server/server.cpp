// SPDX-License-Identifier: MIT
// A key-value server: several loops accept and read, one store on its own loop writes to disk.
//
// usage: kv_server LOG ADDRESS:PORT LOOPS [COMMIT_DELAY_MS]
//
//   GET KEY          VALUE <value>, or NONE
//   SET KEY VALUE    OK once it is on disk, or ERROR <why>
//   COUNTS           what waits in the store
//
// A key has no space, a value is the rest of the line, a line has at most 4096 bytes. All else is
// answered with ERROR, and the connection goes on. Ends at SIGTERM with what it has answered.

#include "store.hpp"

#include <fermata/promise/buffered.hpp>
#include <fermata/promise/loop_thread.hpp>
#include <fermata/promise/remote_resolver.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/signals.hpp>
#include <fermata/promise/tcp.hpp>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using fermata::promise;
using fermata::scope;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::milliseconds pause_after_failed_accept = 100ms;

/// The way to the store from the loops that serve.
struct store_address {
  fermata::mailbox_ptr loop;
  kv::store* at = nullptr;  // lives until all have ended that ask
};

// ---- one connection ----

promise<std::string> answer(store_address store, std::string_view line) {
  if (line == "COUNTS") {  // past the queue: it is answered when that is full
    return fermata::submit_to(store.loop, [at = store.at] { return at->counts(); });
  }
  const std::string_view verb = line.substr(0, 4);
  const std::string_view rest = line.substr(verb.size());
  const std::size_t space = rest.find(' ');
  kv::request r;
  r.key = rest.substr(0, space);
  if (verb == "SET " && space != std::string_view::npos) r.value = rest.substr(space + 1);
  if (r.key.empty() || !(r.value || (verb == "GET " && space == std::string_view::npos))) {
    return fermata::ready(std::string("ERROR say GET KEY or SET KEY VALUE"));
  }
  return fermata::submit_to(store.loop, [at = store.at, asked = std::move(r)]() mutable {
    return at->ask(std::move(asked));
  });
}

// What is left of a line that was too long.
promise<> skip_line(fermata::buffered_reader& from) {
  for (;;) {
    const std::string_view ahead = co_await from.peek();
    if (ahead.empty()) co_return;
    const std::size_t end = ahead.find('\n');
    const bool is_all = end != std::string_view::npos;
    from.consume(is_all ? end + 1 : ahead.size());
    if (is_all) co_return;
  }
}

promise<std::string> answer_next(fermata::buffered_reader& from, store_address store) {
  bool is_too_long = false;
  try {
    const std::optional<std::string> line = co_await from.read_line(kv::longest_line);
    if (!line) co_return std::string();
    promise<std::string> answered = answer(store, *line);
    co_return co_await std::move(answered);
  } catch (const fermata::limit_reached&) {
    is_too_long = true;
  }
  if (is_too_long) co_await skip_line(from);
  co_return "ERROR a line is longer than " + std::to_string(kv::longest_line) + " bytes";
}

promise<> serve_one(std::unique_ptr<fermata::byte_stream> client, store_address store) {
  fermata::buffered_reader reader(*client);
  try {
    for (;;) {
      std::string text = co_await answer_next(reader, store);
      if (text.empty()) co_return;
      text += '\n';
      co_await client->write(fermata::bytes_of(text));
    }
  } catch (const fermata::error&) {  // a client that goes away disturbs nobody
  }
}

// ---- the loops ----

promise<std::unique_ptr<fermata::byte_stream>> accept(fermata::tcp_listener& listener) {
  for (;;) {
    try {
      auto accepted = listener.accept();
      co_return co_await std::move(accepted);
    } catch (const fermata::error& e) {
      std::fprintf(stderr, "kv_server: %s\n", e.what());
    }
    co_await fermata::sleep_for(pause_after_failed_accept);  // of descriptors there are none
  }
}

promise<> accept_all(scope& clients, fermata::tcp_listener& listener, store_address store) {
  for (;;) {
    auto accepting = accept(listener);
    auto client = co_await std::move(accepting);
    clients.fork(
        [c = std::move(client), store]() mutable { return serve_one(std::move(c), store); });
  }
}

promise<> serve_listener(fermata::tcp_listener listener, store_address store) {
  const auto body = [&listener, store](scope& s) { return accept_all(s, listener, store); };
  promise<> served = scope::run(body);
  co_await served;
}

fermata::tcp_listener listen(const std::string& address) {
  fermata::listen_options options;
  options.reuse_port = true;  // the kernel spreads connections over all who listen here
  return fermata::tcp_listener(address, options);
}

promise<> serve_address(std::string address, store_address store) {
  return serve_listener(listen(address), store);
}

// ---- the program ----

struct settings {
  std::string log;
  std::string address;
  std::size_t loops = 1;
  std::chrono::milliseconds commit_delay{0};
};

std::optional<std::size_t> number(const std::string& text, std::size_t least, std::size_t most) {
  std::size_t n = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, n);
  if (error != std::errc() || stop != end || n < least || n > most) return std::nullopt;
  return n;
}

std::optional<settings> read_settings(const std::vector<std::string>& words) {
  if (words.size() != 3 && words.size() != 4) return std::nullopt;
  const auto loops = number(words[2], 1, 64);
  const auto delay = number(words.size() == 4 ? words[3] : "0", 0, 60'000);
  if (!loops || !delay) return std::nullopt;
  settings s;
  s.log = words[0];
  s.address = words[1];
  s.loops = *loops;
  s.commit_delay = std::chrono::milliseconds(*delay);
  return s;
}

promise<std::unique_ptr<kv::store>> open_store(settings with) {
  kv::values values;
  promise<kv::record_log> opening = kv::record_log::open(with.log, values);
  kv::record_log log = co_await std::move(opening);
  co_return std::make_unique<kv::store>(std::move(log), std::move(values), with.commit_delay);
}

// On the store's own loop. `opened` hears of the store once it has read its log.
promise<> run_store(settings with, fermata::remote_resolver<kv::store*> opened) {
  std::unique_ptr<kv::store> store;
  try {
    promise<std::unique_ptr<kv::store>> opening = open_store(with);
    store = co_await std::move(opening);
  } catch (...) {
    opened.reject(std::current_exception());
    co_return;
  }
  opened.resolve(store.get());
  co_await store->serve();
}

using loop_threads = std::vector<std::unique_ptr<fermata::loop_thread>>;

promise<> serve_until_stopped(scope& s, settings with, store_address store, loop_threads& loops) {
  fermata::signal_source stop({SIGTERM, SIGINT});
  fermata::tcp_listener first = listen(with.address);
  const std::string address = first.address();
  s.fork_daemon(
      [l = std::move(first), store]() mutable { return serve_listener(std::move(l), store); });
  while (loops.size() + 1 < with.loops) {
    const auto& one = loops.emplace_back(std::make_unique<fermata::loop_thread>());
    s.fork_daemon([&one = *one, address, store] {
      return one.submit([address, store] { return serve_address(address, store); });
    });
  }
  std::printf("listening on %s\n", address.c_str());
  std::fflush(stdout);
  co_await stop.next();
}

promise<> run(scope& s, settings with, fermata::loop_thread& store_loop, loop_threads& loops) {
  auto opening = fermata::make_remote_promise<kv::store*>();
  s.fork_daemon([&store_loop, with, settle = std::move(opening.settle)]() mutable {
    return store_loop.submit([with, settle = std::move(settle)]() mutable {
      return run_store(with, std::move(settle));
    });
  });
  store_address store{store_loop.letters()};
  store.at = co_await opening.future;
  // What asks the store ends with this scope, before the store does.
  const auto body = [with, store, &loops](scope& serving) {
    return serve_until_stopped(serving, with, store, loops);
  };
  promise<> served = scope::run(body);
  co_await served;
}

}  // namespace

int main(int count, char** arguments) try {
  const std::optional<settings> given = read_settings({arguments + 1, arguments + count});
  if (!given) {
    std::fputs("usage: kv_server LOG ADDRESS:PORT LOOPS [COMMIT_DELAY_MS]\n", stderr);
    return 2;
  }
  const settings with = *given;
  fermata::event_loop loop;
  fermata::loop_thread store_loop;
  loop_threads loops;
  loop.run([&] { return scope::run([&](scope& s) { return run(s, with, store_loop, loops); }); });
} catch (const std::exception& e) {
  std::fprintf(stderr, "kv_server: %s\n", e.what());
  return 1;
}
