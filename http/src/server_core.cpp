// SPDX-License-Identifier: MIT
// The life of connections: begun, counted, told to stop, waited for.

#include "server_core.hpp"

#include "connection.hpp"

#include <fermata/http/http_date.hpp>
#include <fermata/promise/context.hpp>
#include <fermata/promise/sleep.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace fermata::http::detail {
namespace {

constexpr std::size_t most_refusing = 64;
constexpr std::chrono::nanoseconds first_back_off = std::chrono::milliseconds(10);
constexpr std::chrono::nanoseconds longest_back_off = std::chrono::seconds(1);

std::chrono::sys_seconds system_time() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

}  // namespace

std::string_view date_clock::text(std::chrono::sys_seconds now) {
  if (text_.empty() || now != second_) {
    second_ = now;
    text_ = to_http_date(now);
  }
  return text_;
}

server_core::server_core(handler h, server_options o)
    : loop(event_loop::current()), handle(std::move(h)), options(std::move(o)) {
  static_cast<void>(request_parser(options.limits));  // throws now rather than at each connection
  if (!options.wall_clock) options.wall_clock = system_time;
  if (options.client_rate > 0) limiter.emplace(options.client_rate, options.client_burst);
}

server_core::verdict server_core::judge(const request& r, const std::string& peer, bool refused) {
  if (!refused && options.most_requests == 0 && !limiter) return {};
  if (options.is_exempt && options.is_exempt(r)) return {};
  if (refused) return {503, "too many connections\n", options.retry_after};
  if (options.most_requests > 0 && counters.active_requests >= options.most_requests) {
    ++counters.overloaded;
    return {503, "too many requests are being answered\n", options.retry_after};
  }
  if (!limiter) return {};
  const std::string client = options.client_of ? options.client_of(r, peer) : client_address(peer);
  const auto wait = limiter->judge(client, loop.now());
  if (!wait) return {};
  ++counters.rate_limited;
  return {429, "too many requests of one client\n",
          std::max(options.retry_after, std::chrono::ceil<std::chrono::seconds>(*wait))};
}

std::uint64_t server_core::body_limit(const request& r) const {
  return options.rule_of_body ? options.rule_of_body(r).most_bytes : options.limits.body_bytes;
}

bool server_core::has_room_for(const std::string& client) const {
  if (counters.active_connections >= options.most_connections) return false;
  const auto at = connections_of.find(client);
  return at == connections_of.end() || at->second < options.most_connections_per_client;
}

std::chrono::nanoseconds server_core::shortest_time() const {
  return std::min({options.header_time, options.body_time, options.idle_time, options.write_time,
                   options.linger_time});
}

promise<> server_core::converse(std::shared_ptr<server_core> core,
                                std::unique_ptr<byte_stream> stream,
                                place at) {
  const bool refused = at->refused;
  connection c(*core, *stream, refused);
  at->conversation = &c;
  ++(refused ? core->refusing : core->counters.active_connections);
  try {
    promise<> over = refused && !core->options.is_exempt ? c.turn_away() : c.run();
    co_await over;
  } catch (const cancelled&) {
    stream->cancel();
  } catch (...) {
    core->log(log_level::error, "connection failed why=" + message_of(std::current_exception()));
  }
  --(refused ? core->refusing : core->counters.active_connections);
  if (!at->client.empty()) {
    const auto client = core->connections_of.find(at->client);
    if (--client->second == 0) core->connections_of.erase(client);
  }
  core->connections.erase(at);
  if (core->connections.empty())
    for (resolver<>& waiting : std::exchange(core->waiting_for_end, {})) waiting.resolve();
}

promise<> server_core::begin(std::shared_ptr<server_core> core,
                             std::unique_ptr<byte_stream> stream) {
  ++core->counters.connections;
  std::string client;
  if (core->options.most_connections_per_client > 0) client = client_address(stream->peer());
  const bool full = !core->has_room_for(client);
  if (full) ++core->counters.refused_connections;
  if (core->stopping || (full && core->refusing >= most_refusing)) return ready();
  const place at = core->connections.emplace(core->connections.end());
  at->refused = full;
  if (!full && !client.empty()) {
    ++core->connections_of[client];
    at->client = std::move(client);
  }
  // By value: the list may be changed by what runs at once.
  promise<> done = in_class(latency_class::prompt, [core, at, held = std::move(stream)]() mutable {
    return converse(core, std::move(held), at);
  });
  if (done.is_pending()) at->done = done;
  return done;
}

promise<> server_core::accept_all(std::shared_ptr<server_core> core, acceptor accept) {
  std::chrono::nanoseconds back_off = first_back_off;
  while (!core->stopping) {
    std::string failure;
    try {
      std::unique_ptr<byte_stream> stream = co_await accept();
      static_cast<void>(begin(core, std::move(stream)));
      back_off = first_back_off;
      continue;
    } catch (const cancelled&) {
      break;
    } catch (const std::exception& e) {
      failure = e.what();
    }
    ++core->counters.accept_failures;
    core->log(log_level::warn, failure);
    try {
      co_await sleep_for(back_off);
    } catch (const cancelled&) {
      break;
    }
    back_off = std::min(2 * back_off, longest_back_off);
  }
}

promise<> server_core::all_ended() {
  if (connections.empty()) return ready();
  auto [ended, settle] = make_promise<>();
  waiting_for_end.push_back(std::move(settle));
  return ended;
}

void server_core::stop_accepting() {
  stopping = true;
  for (const promise<>& p : std::exchange(accepting, {})) cancel(p);
}

void server_core::cancel_connections() {
  std::vector<promise<>> left;  // a copy: connections may end while they are cancelled
  for (const running& r : connections) left.push_back(r.done);
  for (const promise<>& p : left)
    if (p) cancel(p);
}

promise<> server_core::end(std::shared_ptr<server_core> core, std::chrono::nanoseconds patience) {
  core->stop_accepting();
  std::vector<connection*> open;
  for (const running& r : core->connections) open.push_back(r.conversation);
  for (connection* c : open)
    if (c != nullptr) c->stop();
  promise<> graceful = with_timeout(patience, core->all_ended());
  try {
    co_await graceful;
    co_return;
  } catch (const timed_out&) {
    core->log(log_level::warn,
              "shutdown cuts connections count=" + std::to_string(core->connections.size()));
  }
  core->cancel_connections();
  promise<> ended = core->all_ended();
  co_await ended;
}

}  // namespace fermata::http::detail
