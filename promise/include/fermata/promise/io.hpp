// SPDX-License-Identifier: MIT
/// Waiting for a descriptor in a coroutine: `co_await readable(watch);`.
///
/// Shape:    goes on when the descriptor is readable or writable, has an error or hang-up, or when
///           the watch is closed meanwhile; the next read or write tells which.
/// Thread:   loop.
/// Rejects:  `cancelled`, at once; `loop_closed`; `contract_error` where another task waits for the
///           same direction or the watch is closed.
/// Cost:     no allocation; one epoll_ctl where the watch is not armed.
/// Lifetime: the watch outlives the wait or is closed during it.
#pragma once

#include <fermata/loop/io_watch.hpp>
#include <fermata/promise/promise.hpp>

namespace fermata {

namespace detail {

class io_awaiter final : public ready_node, public suspension, private loop_resident {
public:
  io_awaiter(coroutine_base& co, io_watch& watch, io_direction d) noexcept
      : coroutine_(co), watch_(watch), direction_(d) {}
  [[nodiscard]] bool await_ready() const noexcept { return coroutine_.cancel_is_requested(); }
  void await_suspend(std::coroutine_handle<> self);
  void await_resume();

  void run() noexcept override { coroutine_.resume(); }
  state_base* cancel_wait() noexcept override;

private:
  enum class outcome : std::uint8_t { waits, cancelled, loop_ended };
  void loop_ends() noexcept override { stop(outcome::loop_ended); }
  void stop(outcome why) noexcept;

  coroutine_base& coroutine_;
  io_watch& watch_;
  io_direction direction_;
  outcome outcome_ = outcome::waits;
  bool has_waited_ = false;
};

}  // namespace detail

/// What `readable` and `writable` give: to be awaited at once.
class [[nodiscard]] io_wait {
public:
  io_wait(io_watch& watch, io_direction d) noexcept : watch_(watch), direction_(d) {}
  [[nodiscard]] detail::io_awaiter awaiter_for(detail::coroutine_base& co) const noexcept {
    return {co, watch_, direction_};
  }

private:
  io_watch& watch_;
  io_direction direction_;
};

[[nodiscard]] inline io_wait readable(io_watch& watch) noexcept {
  return {watch, io_direction::read};
}
[[nodiscard]] inline io_wait writable(io_watch& watch) noexcept {
  return {watch, io_direction::write};
}

}  // namespace fermata
