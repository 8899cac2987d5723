// SPDX-License-Identifier: MIT
// The libuv loop for handles of others: made when it is asked for, turned when it has something to
// do. Its descriptor is a member of ours; its timers are known by their deadline.

#include "libuv_loop.hpp"

#include <source_location>

namespace fermata {
namespace {

// How stale its time may be where a handle is started between two turns of it.
constexpr std::chrono::milliseconds libuv_tick{1};

}  // namespace

uv_loop_t* event_loop::uv() {
  if (uv_ != nullptr) return uv_;
  auto own = std::make_unique<libuv_loop>();
  int code = uv_loop_init(&own->loop);
  if (code < 0) throw uv_error(code, "cannot start libuv");
  code = poller_.add_libuv(uv_backend_fd(&own->loop));
  if (code != 0) {
    uv_loop_close(&own->loop);
    throw uv_error(code, "cannot start libuv");
  }
  uv_prepare_init(&own->loop, &own->keeper);
  uv_prepare_start(&own->keeper, [](uv_prepare_t*) {});
  own_uv_ = std::move(own);
  uv_ = &own_uv_->loop;
  return uv_;
}

bool event_loop::libuv_is_due(time_point now) noexcept {
  if (uv_ == nullptr) return false;
  if (!has_virtual_time()) return libuv_deadline() <= now;
  uv_update_time(uv_);  // its timers are real
  return uv_backend_timeout(uv_) == 0;
}

// In the past where it has something to do at once.
time_point event_loop::libuv_deadline() const noexcept {
  const int left_ms = uv_ == nullptr ? -1 : uv_backend_timeout(uv_);
  if (left_ms < 0) return time_point::max();
  return time_point(std::chrono::milliseconds(uv_now(uv_) + static_cast<std::uint64_t>(left_ms)));
}

void event_loop::run_libuv() noexcept {
  meter_.site.store(std::source_location::current(), std::memory_order_relaxed);
  uv_run(uv_, UV_RUN_NOWAIT);
}

// Whoever starts a timer there finds the time of the last millisecond.
void event_loop::keep_libuv_time(time_point now) noexcept {
  if (now < libuv_time_until_) return;
  uv_update_time(uv_);
  libuv_time_until_ = now + libuv_tick;
}

void event_loop::close_libuv() noexcept {
  if (own_uv_ == nullptr) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&own_uv_->keeper), nullptr);
  uv_run(uv_, UV_RUN_DEFAULT);
  uv_loop_close(uv_);
}

}  // namespace fermata
