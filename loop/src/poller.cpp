// SPDX-License-Identifier: MIT
// epoll, a timerfd that ends a wait, an eventfd that other threads write to.
//
// All are edge-triggered but libuv's descriptor: nobody reads the timerfd nor the eventfd, for each
// expiry and each write is an edge of its own.

#include <fermata/loop/error.hpp>
#include <fermata/loop/poller.hpp>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace fermata::detail {
namespace {

constexpr std::uint32_t of_alarm = 0;  // the first places
constexpr std::uint32_t of_wake = 1;
constexpr std::uint32_t of_libuv = 2;
constexpr std::uint32_t first_watched = 3;
constexpr std::uint32_t all_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;

constexpr std::uint64_t name_of(std::uint32_t place, std::uint32_t generation) noexcept {
  return static_cast<std::uint64_t>(generation) << 32 | place;
}

}  // namespace

poller::poller() : places_(first_watched) {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  alarm_fd_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  const bool is_complete =
      epoll_fd_ >= 0 && alarm_fd_ >= 0 && wake_fd_ >= 0 &&
      control(EPOLL_CTL_ADD, alarm_fd_, EPOLLIN | EPOLLET, name_of(of_alarm, 0)) == 0 &&
      control(EPOLL_CTL_ADD, wake_fd_, EPOLLIN | EPOLLET, name_of(of_wake, 0)) == 0;
  if (is_complete) return;
  const int code = errno;
  for (const int fd : {epoll_fd_, alarm_fd_, wake_fd_}) {
    if (fd >= 0) ::close(fd);
  }
  throw uv_error(code, "cannot make an event loop");
}

poller::~poller() {
  ::close(epoll_fd_);
  ::close(alarm_fd_);
  ::close(wake_fd_);
}

int poller::control(int what, int fd, std::uint32_t events, std::uint64_t name) noexcept {
  epoll_event e{};
  e.events = events;
  e.data.u64 = name;
  return epoll_ctl(epoll_fd_, what, fd, &e) == 0 ? 0 : errno;
}

int poller::add_libuv(int fd) noexcept {
  return control(EPOLL_CTL_ADD, fd, EPOLLIN, name_of(of_libuv, 0));
}

int poller::add(int fd, polled& p) {
  free_.reserve(places_.size() + 1);  // so that `remove` cannot fail
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(places_.size()));
    places_.emplace_back();
  }
  const std::uint32_t at = free_.back();
  const int code = control(EPOLL_CTL_ADD, fd, all_events, name_of(at, places_[at].generation));
  if (code != 0) return code;
  free_.pop_back();
  places_[at].who = &p;
  p.place_ = at;
  return 0;
}

int poller::ask_again(int fd, const polled& p) noexcept {
  const std::uint32_t at = p.place_;
  return control(EPOLL_CTL_MOD, fd, all_events, name_of(at, places_[at].generation));
}

// An open file that somebody else holds too would stay registered after its descriptor is closed.
void poller::remove(int fd, polled& p) noexcept {
  static_cast<void>(control(EPOLL_CTL_DEL, fd, 0, 0));
  place& own = places_[p.place_];
  own.who = nullptr;
  ++own.generation;
  free_.push_back(p.place_);
}

poller::found poller::poll(bool may_wait) noexcept {
  std::array<epoll_event, events_per_poll> events;
  const int n = epoll_wait(epoll_fd_, events.data(), events_per_poll, may_wait ? -1 : 0);
  found result;
  for (int i = 0; i < n; ++i) {
    const std::uint64_t name = events[static_cast<std::size_t>(i)].data.u64;
    const auto at = static_cast<std::uint32_t>(name);
    const place& to = places_[at];
    if (to.who != nullptr && to.generation == name >> 32) {
      to.who->take_events(events[static_cast<std::size_t>(i)].events);
    } else if (at == of_alarm) {
      alarm_at_ = time_point::max();
    } else if (at == of_wake) {
      result.wake = true;
    } else if (at == of_libuv) {
      result.libuv = true;
    }
  }
  return result;
}

// One that is set to an earlier time stays: it ends a wait in vain once, which costs less than to
// set it anew each time that a deadline has moved on.
void poller::set_alarm(time_point deadline) noexcept {
  if (deadline >= alarm_at_) return;
  alarm_at_ = deadline;
  const auto ns = deadline.time_since_epoch().count();
  itimerspec at{};
  at.it_value.tv_sec = ns / 1'000'000'000;
  at.it_value.tv_nsec = ns % 1'000'000'000;
  if (ns <= 0) at.it_value.tv_nsec = 1;
  timerfd_settime(alarm_fd_, TFD_TIMER_ABSTIME, &at, nullptr);
}

void poller::wake() noexcept {
  const std::uint64_t one = 1;
  // Fails after 2^64 - 2 of them only: nobody reads it.
  [[maybe_unused]] const ssize_t n = ::write(wake_fd_, &one, sizeof one);
}

}  // namespace fermata::detail
