// SPDX-License-Identifier: MIT
/// `detach(f, args...)`: a plain function runs on a thread of the loop's pool, its result comes
/// back as a promise.
///
/// Shape:    `f` and the arguments are copied or moved as std::thread does; `f` may take a
///           std::stop_token first. Jobs start first in, first out. Where the queue is full the
///           promise stays pending until there is room; no job ever runs on the loop.
/// Cancel:   a job that has not started is taken out and the promise rejected at once. A job that
///           runs has a stop requested through its token, and the promise settles when it has
///           ended: with `cancelled` where it takes a token, else with its result.
/// End:      `~event_loop` requests a stop of the jobs that run, waits for them, drops the rest.
/// Thread:   loop; `f` runs elsewhere and is destroyed there, its result is handed to the loop.
/// Rejects:  what `f` throws, `cancelled`, `loop_closed`; std::system_error where the system
///           gives no thread.
/// Cost:     about five allocations and two thread switches (10 us): for work over 100 us.
#pragma once

#include <fermata/loop/worker_pool.hpp>
#include <fermata/promise/promise.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

namespace fermata {

namespace detail {

/// A job on its way: owned by the pool's queue, then by the worker, then by the letter to the loop.
class detached_job {
public:
  explicit detached_job(std::stop_source s) noexcept : stop(std::move(s)) {}
  detached_job(const detached_job&) = delete;
  detached_job& operator=(const detached_job&) = delete;
  virtual ~detached_job() = default;
  /// Calls the function. Thread: a worker.
  virtual void call() noexcept = 0;
  /// Settles the promise. Thread: loop.
  virtual void settle() noexcept = 0;
  /// Settles it without a result. Thread: loop.
  virtual void give_up(std::exception_ptr why) noexcept = 0;

  /// Hands `job` to the pool of this thread's loop.
  static void submit(std::unique_ptr<detached_job> job);
  /// What a cancel of the promise does.
  void cancel() noexcept;

protected:
  std::stop_source stop;
  bool was_stopped = false;  // the stop was requested before the function ended

private:
  struct holder;
  void expect() noexcept;
  event_loop* loop_ = nullptr;
  worker_pool::job_id id_ = 0;
  bool is_expected_ = false;
  bool is_cancelled_ = false;
};

template <typename F, typename... Args>
inline constexpr bool takes_stop_token = std::is_invocable_v<F, std::stop_token, Args...>;

template <typename F, typename... Args>
struct detached_result {
  using type = std::invoke_result_t<F, Args...>;
};
template <typename F, typename... Args>
requires takes_stop_token<F, Args...>
struct detached_result<F, Args...> {
  using type = std::invoke_result_t<F, std::stop_token, Args...>;
};
template <typename F, typename... Args>
using detached_result_t = std::decay_t<typename detached_result<F, Args...>::type>;

template <typename F, typename... Args>
class job_of final : public detached_job {
public:
  using result = detached_result_t<F, Args...>;
  static constexpr bool stoppable = takes_stop_token<F, Args...>;

  template <typename G, typename... Given>
  explicit job_of(G&& f, Given&&... args)
      : detached_job(stoppable ? std::stop_source() : std::stop_source(std::nostopstate)),
        call_(std::in_place, std::forward<G>(f), std::forward<Given>(args)...) {}

  promise<result> start() {
    auto made = make_task<result>([this] { this->cancel(); });
    settle_ = std::move(made.settle);
    return std::move(made.future);
  }

  void call() noexcept override {
    try {
      if constexpr (std::is_void_v<result>) {
        invoke();
      } else {
        value_.emplace(invoke());
      }
    } catch (...) {
      error_ = std::current_exception();
    }
    was_stopped = stoppable && stop.stop_requested();
    call_.reset();
  }
  void settle() noexcept override {
    if (was_stopped) {
      settle_.reject(std::make_exception_ptr(cancelled()));
    } else if (error_) {
      settle_.reject(std::move(error_));
    } else if constexpr (std::is_void_v<result>) {
      settle_.resolve();
    } else {
      try {
        settle_.resolve(std::move(*value_));
      } catch (...) {
        if (settle_) settle_.reject(std::current_exception());
      }
    }
  }
  void give_up(std::exception_ptr why) noexcept override {
    if (settle_) settle_.reject(std::move(why));
  }

private:
  decltype(auto) invoke() {
    return std::apply(
        [this](F& f, Args&... args) -> decltype(auto) {
          if constexpr (stoppable) {
            return std::invoke(std::move(f), stop.get_token(), std::move(args)...);
          } else {
            return std::invoke(std::move(f), std::move(args)...);
          }
        },
        *call_);
  }

  std::optional<std::tuple<F, Args...>> call_;
  std::optional<std::conditional_t<std::is_void_v<result>, bool, result>> value_;
  std::exception_ptr error_;
  resolver<result> settle_;
};

}  // namespace detail

template <typename F, typename... Args>
auto detach(F&& f, Args&&... args)
    -> promise<detail::detached_result_t<std::decay_t<F>, std::decay_t<Args>...>> {
  using job = detail::job_of<std::decay_t<F>, std::decay_t<Args>...>;
  static_assert(!detail::any_promise<typename job::result>,
                "detach takes plain functions: one that returns a promise needs a loop");
  auto made = std::make_unique<job>(std::forward<F>(f), std::forward<Args>(args)...);
  auto result = made->start();
  detail::detached_job::submit(std::move(made));
  return result;
}

}  // namespace fermata
