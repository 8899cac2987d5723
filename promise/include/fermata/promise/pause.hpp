// SPDX-License-Identifier: MIT
/// Giving the thread back.
///
/// Shape:  `co_await pause();` always, `co_await maybe_pause(cost);` when the slice is used up and
///         somebody waits. What comes after runs behind all that the next poll makes ready.
/// Thread: loop.
/// Rejects: `cancelled`, where the task was asked to end: so pure computation can be cancelled;
///          `loop_closed` where the loop ends.
/// Cost:   a `maybe_pause` that goes on is 1-2 ns; a pause is one poll (about 160 ns) for all tasks
///         that paused in the turn.
#pragma once

#include <fermata/promise/promise.hpp>

namespace fermata {

namespace detail {

enum class pause_kind : std::uint8_t { none, due, always };

class pause_awaiter final : public ready_node {
public:
  pause_awaiter(coroutine_base& co, pause_kind kind) noexcept : coroutine_(co), kind_(kind) {}
  [[nodiscard]] bool await_ready() const noexcept {
    return kind_ == pause_kind::none || coroutine_.cancel_is_requested();
  }
  void await_suspend(std::coroutine_handle<> self) {
    coroutine_.suspend(nullptr, self);
    event_loop& loop = event_loop::current();
    if (kind_ == pause_kind::always) {
      loop.enqueue_after_poll(*this);
    } else {
      loop.give_way(*this);
    }
  }
  void await_resume() const {
    if (coroutine_.take_cancel()) throw cancelled();
    if (kind_ != pause_kind::none && event_loop::current().is_ending()) throw loop_closed();
  }
  void run() noexcept override { coroutine_.resume(); }

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

/// While it lives, `maybe_pause` goes on and an await that would suspend throws `contract_error`.
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
