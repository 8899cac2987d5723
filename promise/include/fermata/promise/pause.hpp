// SPDX-License-Identifier: MIT
/// Giving the thread back.
///
/// Shape:  `co_await pause();` always, `co_await maybe_pause(cost);` when the slice is used up and
///         somebody waits. What comes after runs behind all that the next poll makes ready.
/// Name:   `<unistd.h>` has a `pause()`; where both are seen write `fermata::pause()`, or
///         `using fermata::pause;` in a function or namespace of your own.
/// Pauses: that is what it is for; under a `no_pause` guard `maybe_pause` goes on.
/// Thread: loop.
/// Rejects: `cancelled`, where the task was asked to end: so pure computation can be cancelled;
///          `loop_closed` where the loop ends.
/// Cost:   a `maybe_pause` that goes on is 1-2 ns; a pause one poll (160 ns) for all that paused.
#pragma once

#include <fermata/promise/promise.hpp>

namespace fermata {

namespace detail {

enum class pause_kind : std::uint8_t { none, due, always };

class pause_awaiter {
public:
  pause_awaiter(coroutine_base& co, pause_kind kind) noexcept : coroutine_(co), kind_(kind) {}
  [[nodiscard]] bool await_ready() const noexcept {
    return kind_ == pause_kind::none || coroutine_.cancel_is_requested();
  }
  void await_suspend(std::coroutine_handle<> self) {
    coroutine_.pause(kind_ == pause_kind::always, self);
  }
  void await_resume() const {
    if (coroutine_.cancel_is_requested() && coroutine_.take_cancel()) throw cancelled();
    if (kind_ != pause_kind::none && event_loop::current().is_ending()) throw loop_closed();
  }

private:
  coroutine_base& coroutine_;
  pause_kind kind_;
};

}  // namespace detail

/// What `pause` and `maybe_pause` give: to be awaited at once, or turned into a promise.
class [[nodiscard]] pause_point {
public:
  explicit pause_point(detail::pause_kind kind) noexcept : kind_(kind) {}
  [[nodiscard]] detail::pause_awaiter awaiter_for(detail::coroutine_base& co) const noexcept {
    return {co, kind_};
  }
  /// For use without a coroutine: `pause().as_promise().bind(...)`.
  [[nodiscard]] promise<> as_promise() const;

private:
  detail::pause_kind kind_;
};

/// Gives the thread back, whoever waits.
[[nodiscard]] inline pause_point pause(
    std::source_location site = std::source_location::current()) {
  static_cast<void>(due(default_cost, site));
  return pause_point(detail::pause_kind::always);
}

/// Declares that the step just done cost up to `cost`, and gives the thread back if that is due.
[[nodiscard]] inline pause_point maybe_pause(
    std::chrono::nanoseconds cost = default_cost,
    std::source_location site = std::source_location::current()) {
  return pause_point(due(cost, site) ? detail::pause_kind::due : detail::pause_kind::none);
}

/// While it lives, `maybe_pause` of this task goes on and an await of it that would suspend throws
/// `contract_error`. A coroutine that it calls pauses by itself; the task must not wait for it.
/// Say at each use why the task must not pause.
class [[nodiscard]] no_pause {
public:
  [[nodiscard]] no_pause() : task_(event_loop::current().task()) { ++task_.no_pause; }
  no_pause(const no_pause&) = delete;
  no_pause& operator=(const no_pause&) = delete;
  ~no_pause() { --task_.no_pause; }

private:
  event_loop::task_state& task_;
};

}  // namespace fermata
