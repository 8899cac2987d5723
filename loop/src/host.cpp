// SPDX-License-Identifier: MIT
// A loop that is turned by another one: a host's libuv, or whoever waits for backend_fd.
//
// In an iteration of libuv `prepare` comes before it waits, `check` after it has run what came. Our
// epoll descriptor ends the wait, `check` then turns us; what has become ready elsewhere, in a
// callback of the host, is seen by `prepare`, which keeps the host from waiting by an idle handle.

#include <fermata/loop/event_loop.hpp>

#include <poll.h>

#include <algorithm>
#include <memory>

namespace fermata {

struct event_loop::host_link {
  event_loop* loop;
  uv_poll_t poll;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle;
  bool is_told = false;  // our descriptor was readable in this iteration
  int open = 0;          // handles that libuv still knows

  template <typename Handle>
  void adopt(Handle& h) noexcept {
    h.data = this;
    ++open;
    uv_unref(reinterpret_cast<uv_handle_t*>(&h));
  }
  template <typename Handle>
  static host_link& of(Handle* h) noexcept {
    return *static_cast<host_link*>(h->data);
  }
  template <typename Handle>
  void close(Handle& h) noexcept {
    uv_close(reinterpret_cast<uv_handle_t*>(&h), [](uv_handle_t* closed) {
      host_link& link = of(closed);
      if (--link.open == 0) delete &link;
    });
  }
  // The host goes on for as long as this handle counts.
  void hold(bool on) noexcept {
    auto* const h = reinterpret_cast<uv_handle_t*>(&poll);
    on ? uv_ref(h) : uv_unref(h);
  }
};

void event_loop::enter_host() {
  if (has_virtual_time()) throw contract_error("a loop in a host has no virtual time");
  auto link = std::make_unique<host_link>();
  link->loop = this;
  const int code = uv_poll_init(options_.uv, &link->poll, poller_.fd());
  if (code < 0) throw uv_error(code, "cannot enter a host's loop");
  uv_ = options_.uv;
  host_ = link.release();
  host_->adopt(host_->poll);
  uv_poll_start(&host_->poll, UV_READABLE,
                [](uv_poll_t* h, int, int) { host_link::of(h).is_told = true; });
  uv_prepare_init(uv_, &host_->prepare);
  host_->adopt(host_->prepare);
  uv_prepare_start(&host_->prepare, [](uv_prepare_t* h) { host_link::of(h).loop->prepare_host(); });
  uv_check_init(uv_, &host_->check);
  host_->adopt(host_->check);
  uv_check_start(&host_->check, [](uv_check_t* h) { host_link::of(h).loop->turn_in_host(); });
  uv_idle_init(uv_, &host_->idle);
  host_->adopt(host_->idle);
  host_->hold(true);  // its first run looks what there is
}

void event_loop::leave_host() noexcept {
  if (host_ == nullptr) return;
  host_link& link = *std::exchange(host_, nullptr);
  link.close(link.poll);
  link.close(link.prepare);
  link.close(link.check);
  link.close(link.idle);
}

// The idle handle has kept the host from waiting; it must not pass for somebody who waits.
void event_loop::turn_in_host() {
  uv_idle_stop(&host_->idle);
  if (is_running_) return;  // a task turns its host: not our time
  const bool told = std::exchange(host_->is_told, false);
  if (told || !is_idle()) static_cast<void>(step());
  prepare_host();
}

void event_loop::prepare_host() noexcept {
  if (!is_idle()) uv_idle_start(&host_->idle, [](uv_idle_t*) {});
  poller_.set_alarm(timers_.earliest());
  host_->hold(has_work());
}

// Whether the host has something to do: what it could not run while our turn lasts.
bool event_loop::host_waits() const noexcept {
  pollfd asked{uv_backend_fd(uv_), POLLIN, 0};
  return ::poll(&asked, 1, 0) > 0;
}

void event_loop::refuse_to_wait() {
  throw contract_error("a loop in a host cannot wait: the host runs it");
}

step_result event_loop::step() {
  {
    const running guard(*this);
    run_ready();
    poll(false);
  }
  if (host_ != nullptr) {
    host_->hold(has_work());
    return {!is_idle(), timers_.earliest()};
  }
  const step_result left{!is_idle(), std::min(timers_.earliest(), libuv_deadline())};
  if (is_driven_) poller_.set_alarm(left.next);
  return left;
}

int event_loop::backend_fd() noexcept {
  is_driven_ = true;
  poller_.set_alarm(std::min(timers_.earliest(), libuv_deadline()));
  return poller_.fd();
}

bool event_loop::has_work() const noexcept {
  return !is_idle() || !timers_.empty() || waiting_watches_ > 0 || expects_something();
}

}  // namespace fermata
