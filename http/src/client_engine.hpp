// SPDX-License-Identifier: MIT
// The thread of libcurl: its multi handle, its sockets, and whose turn it is.
//
// All but the constructor and the destructor runs on the loop of the client's thread; the object
// is made before that and gone after it. Callbacks of libcurl only note what is to be done, which
// is then done in `settle`, where libcurl allows it.
#pragma once

#include "client_hop.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/promise.hpp>

#include <curl/curl.h>

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fermata::http::detail {

class curl_transfer;

struct client_bounds {
  std::size_t transfers = 0;
  std::size_t per_host = 0;
  std::size_t idle_connections = 0;
};

class client_engine final : private loop_resident {
public:
  explicit client_engine(client_bounds bounds);
  ~client_engine();

  /// Called first of all.
  void open();

  /// Waits for a turn, sends, and gives the head.
  [[nodiscard]] promise<hop_head> begin(hop h);
  /// The next piece of the response's body; none at its end.
  [[nodiscard]] promise<std::optional<std::string>> read(std::uint64_t id);
  /// Takes a piece of the request's body, an empty one for its end. False: the transfer is over.
  [[nodiscard]] promise<bool> feed(std::uint64_t id, shared_bytes piece);
  /// Ends a transfer with an error, or forgets it.
  void fail(std::uint64_t id, std::exception_ptr e);
  void drop(std::uint64_t id);

  // ---- for transfers ----

  [[nodiscard]] event_loop& loop() const noexcept { return *loop_; }
  [[nodiscard]] CURLM* multi() const noexcept { return multi_; }
  /// What callbacks have noted, and what has ended. Not within a callback of libcurl.
  void settle();
  /// Its gathered bytes are to be sent when libcurl has returned.
  void touch(std::uint64_t id) { touched_.push_back(id); }
  /// It does not hold a turn any more.
  void left(curl_transfer& t) noexcept;

private:
  struct watched_socket;
  class wake_up final : public timer_node {
  public:
    explicit wake_up(client_engine& e) : engine_(e) {}
    void set(std::optional<std::chrono::nanoseconds> delay);

  private:
    void run() noexcept override;
    client_engine& engine_;
  };

  static int on_socket(CURL* easy, curl_socket_t fd, int what, void* self, void* socket);
  static int on_timer(CURLM* multi, long ms, void* self);
  void watch(curl_socket_t fd, int what, watched_socket* known);
  void act(curl_socket_t fd, int events) noexcept;
  void start_waiting();
  void loop_ends() noexcept override;
  [[nodiscard]] curl_transfer* find(std::uint64_t id) noexcept;

  client_bounds bounds_;
  event_loop* loop_ = nullptr;
  CURLM* multi_ = nullptr;
  std::unique_ptr<wake_up> wake_up_;
  std::map<std::uint64_t, std::shared_ptr<curl_transfer>> transfers_;
  std::list<std::uint64_t> waiting_;
  std::map<std::string, std::size_t> running_;  // by origin
  std::size_t all_running_ = 0;
  std::vector<std::uint64_t> touched_;
};

}  // namespace fermata::http::detail
