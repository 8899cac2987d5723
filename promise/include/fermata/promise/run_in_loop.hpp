// SPDX-License-Identifier: MIT
/// The way back from a detached job to its loop while it runs: `run_in_loop(f)`.
///
/// Shape:    `f` is called on the loop; the worker waits for its result or, where it returns a
///           promise, for what that settles with. `run_in_loop_no_wait(f)` does not wait. Until
///           its first check reports of `f` name the line of the call.
/// Cancel:   of the detached job goes on to the promise that `f` has returned, which should end
///           then; so does, once, a cancel that came while the job waited for none. `no_cancel`
///           keeps a promise from it. A plain function is called all the same. Only where the call
///           goes to the job's own loop.
/// Pauses:   it blocks the worker's thread, so it is refused on a thread that runs a loop.
/// Thread:   the first form: within a detached job, whose loop is meant. With a mailbox: any thread
///           that runs no loop.
/// Throws:   what `f` throws or its promise rejects with; `loop_closed` where the loop has ended or
///           ends before `f` is called: a loop that waits for the worker at its end answers first;
///           `contract_error` on a thread that it must not block.
/// Cost:     no allocation, two wake-ups.
/// Lifetime: `f` runs while the caller waits: it may refer to what is on the caller's stack.
#pragma once

#include <fermata/promise/detail/when_settled.hpp>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace fermata {

namespace detail {

class detached_job;

/// While it lives, this thread runs `job` of `loop`.
class serving {
public:
  serving(event_loop& loop, detached_job& job) noexcept;
  serving(const serving&) = delete;
  serving& operator=(const serving&) = delete;
  ~serving();
};

/// The loop whose job this thread runs. Throws: `contract_error` where it runs none.
[[nodiscard]] event_loop& served_loop(const char* what);

/// A call that crosses to a loop and stands on the stack of the thread that waits for it.
class blocking_call : public letter {
public:
  explicit blocking_call(std::source_location site) noexcept : site_(site) {}
  /// Thread: one that runs no loop, and which waits here.
  void send_and_wait(mailbox& to);

protected:
  ~blocking_call() = default;
  /// Calls the function; the answer is known, or waits for the promise. Thread: loop.
  virtual void call() = 0;
  /// Where a cancel of the job that has called goes on to; nullptr: nowhere. Thread: loop.
  void waits_for(state_base* s) noexcept;
  /// The last that the loop does with the call, which may be gone afterwards.
  void answer() noexcept;

  std::exception_ptr error_;

private:
  void deliver() noexcept final;
  void drop() noexcept final;
  void fail(std::exception_ptr why) noexcept;

  const std::source_location site_;
  detached_job* job_ = nullptr;  // that has called, where this loop is its own
  std::mutex mutex_;
  std::condition_variable answered_;
  bool is_answered_ = false;
};

template <typename F>
class blocking_call_of final : public blocking_call {
public:
  using given = std::invoke_result_t<F&>;
  static constexpr bool is_async = any_promise<given>;
  template <typename R>
  struct unwrapped {
    using type = std::decay_t<R>;
  };
  template <any_promise R>
  struct unwrapped<R> {
    using type = promised_t<R>;
  };
  using result = typename unwrapped<given>::type;

  blocking_call_of(F& f, std::source_location site) : blocking_call(site), call_(f) {}
  result get() {
    if (error_) std::rethrow_exception(std::move(error_));
    if constexpr (!std::is_void_v<result>) return std::move(*value_);
  }

private:
  void call() override {
    if constexpr (is_async) {
      given p = call_();
      if (p.is_pending()) this->waits_for(&access::root(p));
      when_settled(std::move(p), [this](given settled) {
        this->waits_for(nullptr);
        take_from(std::move(settled));
        answer();
      });
    } else {
      if constexpr (std::is_void_v<result>) {
        call_();
      } else {
        value_.emplace(call_());
      }
      answer();
    }
  }
  template <typename P>
  void take_from(P p) noexcept {
    if (p.is_rejected()) {
      error_ = p.error();
      return;
    }
    try {
      if constexpr (!std::is_void_v<result>) value_.emplace(std::move(p).get());
    } catch (...) {
      error_ = std::current_exception();
    }
  }

  F& call_;
  std::optional<std::conditional_t<std::is_void_v<result>, bool, result>> value_;
};

}  // namespace detail

template <std::invocable F>
auto run_in_loop(const mailbox_ptr& loop,
                 F f,
                 std::source_location site = std::source_location::current()) ->
    typename detail::blocking_call_of<F>::result {
  detail::blocking_call_of<F> call(f, site);
  call.send_and_wait(*loop);
  return call.get();
}

template <std::invocable F>
auto run_in_loop(F f, std::source_location site = std::source_location::current()) ->
    typename detail::blocking_call_of<F>::result {
  return run_in_loop(detail::served_loop("run_in_loop").letters(), std::move(f), site);
}

/// False: the loop ends and `f` is dropped; but for that it is called on the loop, once.
template <std::invocable F>
bool run_in_loop_no_wait(F f, std::source_location site = std::source_location::current()) {
  return detail::served_loop("run_in_loop_no_wait").letters()->post(std::move(f), site);
}

}  // namespace fermata
