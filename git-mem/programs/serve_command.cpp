// SPDX-License-Identifier: MIT
// Answers git clients from a saved store.

#include "commands.hpp"

#include <fermata/git_mem/http_backend.hpp>
#include <fermata/http/server.hpp>
#include <fermata/promise/signals.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <utility>

namespace fermata_git {

using namespace fermata::git_mem;

namespace {

constexpr std::chrono::seconds patience{5};  // for clients that are being answered at the end
constexpr std::uint64_t most_request_bytes = 8 << 20;  // 160,000 wants

}  // namespace

promise<int> serve_command(const arguments& given, output& out) {
  fermata::signal_source signals(std::vector<int>{SIGINT, SIGTERM});
  object_store store;
  promise<snapshot_ptr> opening = open_saved(store, given.file);
  const snapshot_ptr from = co_await std::move(opening);
  fermata::http::router routes;
  mount_repository(routes, given.path, [from] { return from; });
  fermata::http::server_options options;
  options.limits.body_bytes = most_request_bytes;
  fermata::http::server server([&routes](const fermata::http::request& r) { return routes(r); },
                               std::move(options));
  const std::string address = server.listen(given.listen);
  out.write("serving http://" + address + given.path + "\n");
  out.flush();
  promise<int> ending = signals.next();
  co_await ending;
  promise<> ended = server.shutdown(patience);
  co_await ended;
  co_return 0;
}

}  // namespace fermata_git
