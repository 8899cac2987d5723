// SPDX-License-Identifier: MIT
// The begin and the end of a loop: handles, the alarm, the mailbox, and who still waits.

#include "mailbox.hpp"
#include "thread_loop.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/worker_pool.hpp>

#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace fermata {
namespace {

constexpr int closing_rounds = 10'000;  // tasks that wait anew while their loop ends

template <typename Handle>
void close_and_delete(Handle* h) noexcept {
  uv_close(reinterpret_cast<uv_handle_t*>(h),
           [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
}

void check(int code, const char* what) {
  if (code < 0) throw uv_error(code, what);
}

}  // namespace

event_loop::event_loop(loop_options options)
    : time_(options.clock),
      options_(std::move(options)),
      root_(new context(*this, options_.when, latency_class::bulk, "root")),
      context_(root_),
      mailbox_(new mailbox()),
      letter_node_(std::make_unique<letter_node>(*this)) {
  meter_.loop = this;
  gap_start_ = last_reading_ = turn_start_ = time_.now();
  open_handles();
  older_ = std::exchange(newest_loop, this);
}

event_loop::~event_loop() {
  event_loop* const outer = std::exchange(running_loop, this);
  detail::meter* const outer_meter = std::exchange(detail::current_meter, &meter_);
  is_ending_ = true;
  pool_.reset();
  finish();
  close_handles();
  detail::current_meter = outer_meter;
  running_loop = outer;
  for (event_loop** at = &newest_loop; *at != nullptr; at = &(*at)->older_) {
    if (*at != this) continue;
    *at = older_;
    break;
  }
}

void event_loop::open_handles() {
  check(uv_loop_init(&uv_), "cannot make an event loop");
  alarm_fd_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (alarm_fd_ < 0) {
    const int code = errno;
    uv_loop_close(&uv_);
    throw uv_error(code, "cannot make the timer of an event loop");
  }
  wake_ = new uv_async_t;
  wake_->data = this;
  uv_async_init(&uv_, wake_,
                [](uv_async_t* h) { static_cast<event_loop*>(h->data)->letter_node_->collect(); });
  alarm_ = new uv_poll_t;
  alarm_->data = this;
  uv_poll_init(&uv_, alarm_, alarm_fd_);
  uv_poll_start(alarm_, UV_READABLE, [](uv_poll_t* h, int, int) {
    auto* loop = static_cast<event_loop*>(h->data);
    std::uint64_t expirations = 0;
    [[maybe_unused]] const auto n = read(loop->alarm_fd_, &expirations, sizeof expirations);
    loop->alarm_at_ = time_point::max();
  });
  mailbox_->letters_->wake = wake_;
  uv_run(&uv_, UV_RUN_NOWAIT);  // epoll knows the handles: the first look finds nobody
}

void event_loop::arm_alarm(time_point deadline) {
  if (deadline == alarm_at_) return;
  alarm_at_ = deadline;
  const auto ns = deadline.time_since_epoch().count();
  itimerspec at{};
  at.it_value.tv_sec = ns / 1'000'000'000;
  at.it_value.tv_nsec = ns % 1'000'000'000;
  if (ns <= 0) at.it_value.tv_nsec = 1;
  timerfd_settime(alarm_fd_, TFD_TIMER_ABSTIME, &at, nullptr);
}

// Rejects what waits until nobody waits any more; a task that waits anew is rejected anew.
void event_loop::finish() noexcept {
  for (int round = 0; round < closing_rounds; ++round) {
    letter_node_->collect();
    while (residents_ != nullptr) {
      loop_resident* r = residents_;
      r->move_out();
      r->loop_ends();
    }
    uv_run(&uv_, UV_RUN_NOWAIT);
    release_paused();
    if (ready_.empty()) break;
    while (!ready_.empty()) {
      begin_turn();
      run_ready();
    }
  }
}

void event_loop::close_handles() noexcept {
  std::deque<unique_function<void()>> dropped;
  {
    const std::lock_guard lock(mailbox_->letters_->mutex);
    mailbox_->letters_->wake = nullptr;
    dropped.swap(mailbox_->letters_->queue);  // a letter may post when it ends
  }
  dropped.clear();
  close_and_delete(wake_);
  close_and_delete(alarm_);
  uv_run(&uv_, UV_RUN_DEFAULT);
  uv_loop_close(&uv_);
  ::close(alarm_fd_);
}

void loop_resident::move_in(event_loop& loop) noexcept {
  next_ = loop.residents_;
  back_ = &loop.residents_;
  if (next_ != nullptr) next_->back_ = &next_;
  loop.residents_ = this;
}

void loop_resident::move_out() noexcept {
  if (back_ == nullptr) return;
  *back_ = next_;
  if (next_ != nullptr) next_->back_ = back_;
  back_ = nullptr;
  next_ = nullptr;
}

}  // namespace fermata
