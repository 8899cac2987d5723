// SPDX-License-Identifier: MIT
// libcurl's multi handle on a loop: sockets by libuv, time by the loop's timers.

#include "client_engine.hpp"

#include "curl_transfer.hpp"

#include <uv.h>

#include <algorithm>
#include <csignal>
#include <mutex>
#include <new>
#include <utility>

namespace fermata::http::detail {
namespace {

void begin_libcurl() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw std::bad_alloc();
  });
}

}  // namespace

// A descriptor of libcurl's that libuv watches for it. libcurl says so before it closes one.
struct client_engine::watched_socket {
  client_engine* owner;
  curl_socket_t fd;
  uv_poll_t poll;

  static void on_event(uv_poll_t* h, int status, int events) {
    const auto* const s = static_cast<watched_socket*>(h->data);
    int what = status < 0 ? CURL_CSELECT_ERR : 0;
    if ((events & UV_READABLE) != 0) what |= CURL_CSELECT_IN;
    if ((events & UV_WRITABLE) != 0) what |= CURL_CSELECT_OUT;
    s->owner->act(s->fd, what);
  }
  void close() noexcept {
    uv_close(reinterpret_cast<uv_handle_t*>(&poll),
             [](uv_handle_t* h) { delete static_cast<watched_socket*>(h->data); });
  }
};

client_engine::client_engine(client_bounds bounds) : bounds_(bounds) {}

client_engine::~client_engine() = default;

void client_engine::open() {
  // A peer that is gone must not end the program; the thread is ours.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  begin_libcurl();
  loop_ = &event_loop::current();
  static_cast<void>(loop_->uv());
  multi_ = curl_multi_init();
  if (multi_ == nullptr) throw std::bad_alloc();
  wake_up_ = std::make_unique<wake_up>(*this);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &client_engine::on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &client_engine::on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(bounds_.idle_connections));
  move_in(*loop_);
}

void client_engine::loop_ends() noexcept {
  for (auto& [id, t] : std::exchange(transfers_, {}))
    t->fail(std::make_exception_ptr(loop_closed()));
  waiting_.clear();
  wake_up_.reset();
  curl_multi_cleanup(std::exchange(multi_, nullptr));
}

promise<hop_head> client_engine::begin(hop h) {
  if (multi_ == nullptr) return rejected<hop_head>(loop_closed());
  const std::uint64_t id = h.id;
  auto made =
      make_task<hop_head>([this, id] { fail(id, std::make_exception_ptr(fermata::cancelled())); });
  transfers_.emplace(id,
                     std::make_shared<curl_transfer>(*this, std::move(h), std::move(made.settle)));
  waiting_.push_back(id);
  start_waiting();
  return std::move(made.future);
}

promise<std::optional<std::string>> client_engine::read(std::uint64_t id) {
  const auto at = transfers_.find(id);
  if (at == transfers_.end()) return rejected<std::optional<std::string>>(cancelled());
  return curl_transfer::read(at->second);
}

promise<bool> client_engine::feed(std::uint64_t id, shared_bytes piece) {
  const auto at = transfers_.find(id);
  if (at == transfers_.end()) return ready(false);
  return curl_transfer::feed(at->second, std::move(piece));
}

void client_engine::fail(std::uint64_t id, std::exception_ptr e) {
  curl_transfer* const t = find(id);
  if (t == nullptr) return;
  t->fail(std::move(e));
  start_waiting();
}

void client_engine::drop(std::uint64_t id) {
  fail(id, std::make_exception_ptr(cancelled()));
  transfers_.erase(id);
}

curl_transfer* client_engine::find(std::uint64_t id) noexcept {
  const auto at = transfers_.find(id);
  return at == transfers_.end() ? nullptr : at->second.get();
}

void client_engine::left(curl_transfer& t) noexcept {
  const auto at = running_.find(t.origin());
  if (--at->second == 0) running_.erase(at);
  --all_running_;
}

void client_engine::start_waiting() {
  for (auto at = waiting_.begin(); at != waiting_.end() && all_running_ < bounds_.transfers;) {
    curl_transfer* const t = find(*at);
    const auto host = t == nullptr ? running_.end() : running_.find(t->origin());
    if (host != running_.end() && host->second >= bounds_.per_host) {
      ++at;
      continue;
    }
    at = waiting_.erase(at);
    if (t == nullptr || t->is_over()) continue;
    ++running_[t->origin()];
    ++all_running_;
    t->start();
  }
}

// ---- libcurl's side ----

int client_engine::on_socket(CURL*, curl_socket_t fd, int what, void* self, void* socket) {
  static_cast<client_engine*>(self)->watch(fd, what, static_cast<watched_socket*>(socket));
  return 0;
}

void client_engine::watch(curl_socket_t fd, int what, watched_socket* known) {
  if (what == CURL_POLL_REMOVE) {
    curl_multi_assign(multi_, fd, nullptr);
    if (known != nullptr) known->close();
    return;
  }
  if (known == nullptr) {
    auto made = std::make_unique<watched_socket>();
    made->owner = this;
    made->fd = fd;
    if (uv_poll_init(loop_->uv(), &made->poll, fd) != 0) return;  // the limits of time will tell
    made->poll.data = made.get();
    known = made.release();
    curl_multi_assign(multi_, fd, known);
  }
  const int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) |
                     ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);
  uv_poll_start(&known->poll, events, &watched_socket::on_event);
}

int client_engine::on_timer(CURLM*, long ms, void* self) {
  auto& e = *static_cast<client_engine*>(self);
  if (e.wake_up_ == nullptr) return 0;
  std::optional<std::chrono::nanoseconds> delay;
  if (ms >= 0) delay = std::chrono::milliseconds(ms);
  e.wake_up_->set(delay);
  return 0;
}

void client_engine::wake_up::set(std::optional<std::chrono::nanoseconds> delay) {
  stop();
  if (delay) engine_.loop().start(*this, engine_.loop().after(*delay));
}

void client_engine::wake_up::run() noexcept { engine_.act(CURL_SOCKET_TIMEOUT, 0); }

void client_engine::act(curl_socket_t fd, int events) noexcept {
  int running = 0;
  curl_multi_socket_action(multi_, fd, events, &running);
  settle();
}

// What callbacks have noted, and what has ended.
void client_engine::settle() {
  for (const std::uint64_t id : std::exchange(touched_, {}))
    if (curl_transfer* const t = find(id)) t->flush();
  int left_over = 0;
  bool ended = false;
  while (const CURLMsg* m = curl_multi_info_read(multi_, &left_over)) {
    if (m->msg != CURLMSG_DONE) continue;
    void* t = nullptr;
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
    static_cast<curl_transfer*>(t)->finish(m->data.result);
    ended = true;
  }
  if (ended) start_waiting();
}

}  // namespace fermata::http::detail
