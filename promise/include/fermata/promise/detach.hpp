// SPDX-License-Identifier: MIT
/// `detach(f, args...)`: a plain function runs on a thread of the loop's pool, its result comes
/// back as a promise.
///
/// Shape:    `f` and the arguments are copied or moved as std::thread does; `f` may take a
///           std::stop_token first. Jobs start first in, first out. Where the queue is full the
///           promise stays pending until there is room; no job ever runs on the loop.
/// Lanes:    `detach_in(lane, f, args...)` uses the queue and the share of threads of a lane:
///           `loop.pool().make_lane("disk", options)`.
/// Cancel:   a job that has not started is taken out and the promise rejected at once. A job that
///           runs has a stop requested through its token, what it waits for in `run_in_loop` is
///           cancelled, and the promise settles when it has ended: with `cancelled` where it takes
///           a token, else with its result.
/// End:      `~event_loop` requests a stop of the jobs that run, waits for them, drops the rest.
/// Pauses:   never.
/// Thread:   loop; `f` runs elsewhere and is destroyed there, its result is handed to the loop.
///           `run_in_loop` is the way back while it runs.
/// Rejects:  what `f` throws, `cancelled`, `loop_closed`; std::system_error: there is no thread.
/// Cost:     one allocation; 0.4 us a job while others are in flight, and two wake-ups (10 us or
///           what the machine needs) where all sleep: for work over 50 us. A loop with nothing to
///           do whose jobs took less than 20 us lately waits for the next one awake, for up to 8 us
///           of CPU time, before it sleeps; where that is mostly in vain it does so seldom.
#pragma once

#include <fermata/loop/worker_pool.hpp>
#include <fermata/promise/detail/crosses.hpp>

#include <functional>
#include <optional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

namespace fermata {

namespace detail {

/// A job on its way: the pool has it, then a worker, then the loop's mailbox; one at each moment.
class detached_job : public pool_job, public letter, public canceller {
public:
  /// Calls the function. Thread: a worker.
  virtual void call() noexcept = 0;
  /// Settles the promise, and lets go of it. Thread: loop.
  virtual void settle() noexcept = 0;
  /// Settles it without a result, and lets go of it. Thread: loop.
  virtual void give_up(std::exception_ptr why) noexcept = 0;

  /// Without a lane: to the default one.
  void submit(worker_lane* lane) noexcept;
  /// What the job waits for in `run_in_loop`: a cancel goes on to it. Thread: loop.
  void waits_for(state_base* s) noexcept;

protected:
  detached_job() noexcept : pool_job(true), letter(true) {}
  ~detached_job() = default;
  [[nodiscard]] std::exception_ptr why_stopped() const;
  [[nodiscard]] std::stop_token pool_ends() const noexcept { return lane_->pool().ending(); }

private:
  /// What a cancel asks of a job that runs.
  virtual void request_stop() noexcept {}
  void work() noexcept final;
  void drop() noexcept final;
  void deliver() noexcept final;
  state_base* request_cancel() noexcept final;
  void come_back() noexcept;

  event_loop* loop_ = nullptr;
  worker_lane* lane_ = nullptr;
  context_ptr task_;  // that has submitted it, until it is back
  job_times times_;
  context::values_ptr values_;     // that it is called with
  state_base* awaited_ = nullptr;  // on the loop, which the worker waits for meanwhile
  bool is_asked_ = false;          // to end, and nothing that it waited for has heard
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

/// What a job that takes a token has beside others.
template <bool stoppable>
struct stop_part {};
template <>
struct stop_part<true> {
  std::stop_source source;
  bool was_stopped = false;  // the stop was requested before the function ended
};

/// The job is the state of its promise: a single allocation.
template <typename F, typename... Args>
class job_of final : public state<detached_result_t<F, Args...>>, public detached_job {
public:
  using result = detached_result_t<F, Args...>;
  static constexpr bool stoppable = takes_stop_token<F, Args...>;

  template <typename G, typename... Given>
  explicit job_of(G&& f, Given&&... args)
      : call_(std::in_place, std::forward<G>(f), std::forward<Given>(args)...) {
    this->set_producer(this);
  }

private:
  void call() noexcept override {
    if constexpr (stoppable) {
      const std::stop_callback at_end(pool_ends(), [this] { stop_.source.request_stop(); });
      call_and_keep();
      stop_.was_stopped = stop_.source.stop_requested();
    } else {
      call_and_keep();
    }
    call_.reset();
  }
  void call_and_keep() noexcept {
    try {
      if constexpr (std::is_void_v<result>) {
        invoke();
      } else {
        value_.emplace(invoke());
      }
    } catch (...) {
      error_ = std::current_exception();
    }
  }
  void settle() noexcept override {
    if constexpr (stoppable) {
      if (stop_.was_stopped) error_ = why_stopped();
    }
    auto& to = this->typed_root();
    if (error_) {
      to.reject(std::move(error_));
    } else if constexpr (std::is_void_v<result>) {
      to.resolve();
    } else {
      try {
        to.resolve(std::move(*value_));
      } catch (...) {
        to.reject(std::current_exception());
      }
      value_.reset();
    }
    this->release();
  }
  void give_up(std::exception_ptr why) noexcept override {
    call_.reset();
    this->typed_root().reject(std::move(why));
    this->release();
  }
  void request_stop() noexcept override {
    if constexpr (stoppable) stop_.source.request_stop();
  }

  decltype(auto) invoke() {
    return std::apply(
        [this](F& f, Args&... args) -> decltype(auto) {
          if constexpr (stoppable) {
            return std::invoke(std::move(f), stop_.source.get_token(), std::move(args)...);
          } else {
            return std::invoke(std::move(f), std::move(args)...);
          }
        },
        *call_);
  }

  std::optional<std::tuple<F, Args...>> call_;
  std::optional<std::conditional_t<std::is_void_v<result>, bool, result>> value_;
  std::exception_ptr error_;
  [[no_unique_address]] stop_part<stoppable> stop_;
};

template <typename F, typename... Args>
using job_for = job_of<std::decay_t<F>, std::decay_t<Args>...>;
template <typename F, typename... Args>
using detached = promise<typename job_for<F, Args...>::result>;

template <typename F, typename... Args>
job_for<F, Args...>* make_job(F&& f, Args&&... args) {
  using job = job_for<F, Args...>;
  static_assert(crosses_threads<typename job::result>,
                "detach takes plain functions: one that returns a promise needs a loop");
  static_assert((crosses_threads<Args> && ...),
                "a promise belongs to its loop: detach takes none along");
  return new job(std::forward<F>(f), std::forward<Args>(args)...);
}

}  // namespace detail

template <typename F, typename... Args>
requires(!std::is_same_v<std::remove_cvref_t<F>, worker_lane>) auto detach(F&& f, Args&&... args)
    -> detail::detached<F, Args...> {
  auto* job = detail::make_job(std::forward<F>(f), std::forward<Args>(args)...);
  auto result = detail::access::handle<typename detail::job_for<F, Args...>::result>(job);
  job->submit(nullptr);
  return result;
}

/// The same in a lane of the loop's pool. Throws: `contract_error` where it is another pool's.
template <typename F, typename... Args>
auto detach_in(worker_lane& lane, F&& f, Args&&... args) -> detail::detached<F, Args...> {
  auto* job = detail::make_job(std::forward<F>(f), std::forward<Args>(args)...);
  auto result = detail::access::handle<typename detail::job_for<F, Args...>::result>(job);
  job->submit(&lane);
  return result;
}

}  // namespace fermata
