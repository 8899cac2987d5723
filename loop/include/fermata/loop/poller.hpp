// SPDX-License-Identifier: MIT
/// The loop's own epoll descriptor: what is registered there, and what of it came.
///
/// Shape:  a descriptor is registered once, edge-triggered in both directions, for as long as it is
///         watched. An event names a place and the place's generation, so that one which comes for
///         a watch that is gone touches nothing. The end of a wait, a wake-up from another thread
///         and libuv's descriptor are members too.
/// Bound:  one poll takes at most `events_per_poll` events, and only notes them.
/// Thread: loop, but `wake`.
/// Cost:   a poll that finds nothing is one system call, about 100 ns; an event 10 ns.
#pragma once

#include <fermata/loop/time_source.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fermata::detail {

inline constexpr int events_per_poll = 256;  // the others come with the next

/// Who hears of the events of one descriptor.
class polled {
public:
  polled() noexcept = default;
  polled(const polled&) = delete;
  polled& operator=(const polled&) = delete;
  /// `events` as epoll tells them; it may make nodes ready and nothing else.
  virtual void take_events(std::uint32_t events) noexcept = 0;

protected:
  ~polled() = default;

private:
  friend class poller;
  std::uint32_t place_ = 0;
};

class poller {
public:
  /// What a poll has found beside the events of those that are watched.
  struct found {
    bool wake = false;  ///< another thread has called `wake`
    bool libuv = false;
  };

  /// Throws: `error` where the kernel refuses a descriptor.
  poller();
  poller(const poller&) = delete;
  poller& operator=(const poller&) = delete;
  ~poller();

  [[nodiscard]] int fd() const noexcept { return epoll_fd_; }
  /// Gives 0, or the code of errno: EPERM for a file, EEXIST where `fd` is watched already.
  [[nodiscard]] int add(int fd, polled& p);
  /// Lets the next poll tell anew what is ready then. Gives 0, or EBADF or ENOENT where somebody
  /// else has closed the descriptor.
  [[nodiscard]] int ask_again(int fd, const polled& p) noexcept;
  void remove(int fd, polled& p) noexcept;
  /// Also tells when libuv's descriptor is readable, until that has been dealt with.
  [[nodiscard]] int add_libuv(int fd) noexcept;

  /// Takes what is there, and where there is nothing and `may_wait` waits for it; a signal handler
  /// and the alarm end the wait too.
  found poll(bool may_wait) noexcept;
  /// The next wait ends at `deadline`, or before.
  void set_alarm(time_point deadline) noexcept;
  /// Ends a wait. Thread: any, while the poller exists.
  void wake() noexcept;

private:
  struct place {
    polled* who = nullptr;
    std::uint32_t generation = 0;
  };
  [[nodiscard]] int control(int what, int fd, std::uint32_t events, std::uint64_t name) noexcept;

  int epoll_fd_ = -1;
  int alarm_fd_ = -1;
  int wake_fd_ = -1;
  time_point alarm_at_ = time_point::max();
  std::vector<place> places_;
  std::vector<std::uint32_t> free_;
};

}  // namespace fermata::detail
