// SPDX-License-Identifier: MIT
/// A non-blocking descriptor of our own that the loop watches: try first, wait on EAGAIN.
///
/// Shape:  one node may wait for each direction; it joins the ready queue when the descriptor is
///         readable or writable, or has an error or hang-up (which the next read or write tells).
///         The kernel is told of the descriptor once. What it has said is kept, so that who tells
///         us of an EAGAIN (`drained`) is spared the tries that can only give another one.
/// Thread: loop.
/// Cost:   a wait is no system call after `drained`, else one epoll_ctl.
#pragma once

#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/poller.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace fermata {

enum class io_direction : std::uint8_t { read, write };

class io_watch {
public:
  io_watch() noexcept = default;
  /// Takes `fd`, which must be pollable and becomes non-blocking; it is closed with the watch or at
  /// the end of the loop, whichever comes first.
  /// Throws: `error` (the descriptor is then closed, unless it is watched already: EEXIST).
  io_watch(event_loop& loop, int fd);
  io_watch(io_watch&& other) noexcept;
  io_watch& operator=(io_watch&& other) noexcept;
  ~io_watch() { close(); }

  [[nodiscard]] int fd() const noexcept { return is_open() ? handle_->fd : -1; }
  [[nodiscard]] bool is_open() const noexcept { return handle_ != nullptr && handle_->fd >= 0; }

  /// Whether a try may give something: not between `drained` and the next event.
  [[nodiscard]] bool may_be_ready(io_direction d) const noexcept {
    return is_open() && (handle_->ready & bit(d)) != 0;
  }
  /// A try has just given EAGAIN.
  void drained(io_direction d) noexcept {
    if (is_open()) handle_->ready &= static_cast<std::uint8_t>(~bit(d));
  }
  /// A try on a TCP connection has just moved less than it was asked to: the same, unless an end,
  /// an error or urgent data may stand behind that. Of other descriptors a part proves nothing.
  void moved_part(io_direction d) noexcept {
    if (is_open() && !handle_->is_announced) drained(d);
  }

  /// Makes `n` ready once, in a poll, when the direction is. Throws: `contract_error` where another
  /// node waits; `error` where somebody else has closed the descriptor.
  void wait(io_direction d, ready_node& n);
  /// Nobody waits for this direction any more; the node is not called.
  void stop_waiting(io_direction d) noexcept;
  /// Closes the descriptor; nodes that wait become ready.
  void close() noexcept;

private:
  struct handle final : detail::polled, loop_resident {
    using loop_resident::move_in;
    void take_events(std::uint32_t events) noexcept override;
    void loop_ends() noexcept override { close(); }
    void close() noexcept;
    void wake(io_direction d) noexcept;

    event_loop* loop = nullptr;
    int fd = -1;
    std::uint8_t ready = 0b11;  // what has not been drained since the last event
    bool is_announced = false;  // an end, an error, urgent data
    std::array<ready_node*, 2> waiting{};
  };
  [[nodiscard]] static constexpr std::uint8_t bit(io_direction d) noexcept {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(d));
  }

  handle* handle_ = nullptr;
};

}  // namespace fermata
