// SPDX-License-Identifier: MIT
// What the connections of one server share. It lives until the server and its last connection end.
#pragma once

#include <fermata/http/client_limiter.hpp>
#include <fermata/http/server.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/stream.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::http::detail {

class connection;

/// The Date field, written once a second.
class date_clock {
public:
  [[nodiscard]] std::string_view text(std::chrono::sys_seconds now);

private:
  std::chrono::sys_seconds second_{};
  std::string text_;
};

struct server_core {
  server_core(handler h, server_options o);

  /// A connection that runs: its promise, to cancel it, and the object, to ask it to stop.
  struct running {
    connection* conversation = nullptr;
    promise<> done;
    bool refused = false;  // over the limit: it is told so
    std::string client;    // counted in connections_of, where that is limited
  };
  using acceptor = std::function<promise<std::unique_ptr<byte_stream>>()>;
  using place = std::list<running>::iterator;

  /// Serves a connection; settles when it has ended, and never rejects.
  static promise<> begin(std::shared_ptr<server_core> core, std::unique_ptr<byte_stream> stream);
  static promise<> accept_all(std::shared_ptr<server_core> core, acceptor accept);
  /// What `server::shutdown` does.
  static promise<> end(std::shared_ptr<server_core> core, std::chrono::nanoseconds patience);
  /// What a request is refused with before a handler is asked; 0: nothing.
  struct verdict {
    int status = 0;
    std::string_view why;
    std::chrono::seconds retry_after{0};
  };
  [[nodiscard]] verdict judge(const request& r, const std::string& peer, bool refused);
  [[nodiscard]] std::uint64_t body_limit(const request& r) const;
  void stop_accepting();
  void cancel_connections();

  [[nodiscard]] std::string_view date() { return clock.text(options.wall_clock()); }
  void log(log_level level, std::string_view message) { loop.log(level, "http", message); }
  [[nodiscard]] std::chrono::nanoseconds shortest_time() const;

  event_loop& loop;
  handler handle;
  server_options options;
  server_counters counters;
  date_clock clock;
  std::list<running> connections;
  std::vector<promise<>> accepting;
  std::vector<resolver<>> waiting_for_end;
  std::map<std::string, std::size_t> connections_of;  // by client
  std::optional<client_limiter> limiter;
  std::size_t refusing = 0;  // connections over the limit that are told so just now
  bool stopping = false;

private:
  static promise<> converse(std::shared_ptr<server_core> core,
                            std::unique_ptr<byte_stream> stream,
                            place at);
  promise<> all_ended();
  [[nodiscard]] bool has_room_for(const std::string& client) const;
};

}  // namespace fermata::http::detail
