// SPDX-License-Identifier: MIT
/// Trying again after a failure.
///
/// Shape:    `retry(policy, f)` calls `f() -> promise<T>`, or `f(attempt)` counted from 1, until
///           its promise resolves. Between two attempts it sleeps: `first_delay`, then each time
///           `factor` times as long, at most `longest_delay`; of each delay a share of up to
///           `jitter` is left out at random. `cancelled` is never tried again.
/// Pauses:   never by itself.
/// Thread:   loop.
/// Rejects:  with the last error, under the text "attempt 3 of 3" where there were several;
///           `cancelled`; `timed_out` where the time limit ends an attempt or what it waits for.
/// Throws:   `contract_error` for a policy that has no meaning.
/// Lifetime: `f` lives until the result has settled.
#pragma once

#include <fermata/promise/sleep.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace fermata {

struct retry_policy {
  retry_policy() {}          // no aggregate: safe as a default argument under g++ 12
  std::size_t attempts = 3;  ///< with the first one
  std::chrono::nanoseconds first_delay = std::chrono::milliseconds(100);
  std::chrono::nanoseconds longest_delay = std::chrono::seconds(30);
  double factor = 2;
  double jitter = 0.5;     ///< 0 (none) to 1
  std::uint64_t seed = 0;  ///< of the jitter; 0: another one for each call
  std::optional<std::chrono::nanoseconds> time_limit;  ///< for all attempts together
  /// Whether this error is worth another attempt; empty: any is.
  unique_function<bool(const std::exception_ptr&)> when;
};

namespace detail {

/// The delays of one retry.
class backoff {
public:
  explicit backoff(const retry_policy& p);
  [[nodiscard]] std::chrono::nanoseconds next() noexcept;

private:
  double next_ns_;
  double longest_ns_;
  double factor_;
  double jitter_;
  std::uint64_t random_;
};

template <typename F>
auto call_attempt(F& f, std::size_t attempt) {
  if constexpr (std::is_invocable_v<F&, std::size_t>) {
    return f(attempt);
  } else {
    static_cast<void>(attempt);
    return f();
  }
}
template <typename F>
using attempted = decltype(call_attempt(std::declval<F&>(), std::size_t{}));

/// The error of the last of `attempts`.
[[nodiscard]] std::exception_ptr given_up(std::exception_ptr e,
                                          std::size_t attempt,
                                          std::size_t attempts);

template <typename F>
attempted<F> retry_until(retry_policy policy, F f, std::optional<time_point> deadline) {
  using value = promised_t<attempted<F>>;
  backoff delays(policy);
  for (std::size_t attempt = 1;; ++attempt) {
    std::exception_ptr failed;
    attempted<F> tried;
    try {
      tried = call_attempt(f, attempt);
      co_await tried;
    } catch (const cancelled&) {
      throw;
    } catch (...) {
      failed = std::current_exception();
    }
    if (!failed) {
      if constexpr (std::is_void_v<value>) {
        co_return;
      } else {
        co_return co_await std::move(tried);
      }
    }
    tried = {};
    const bool is_worth = !policy.when || policy.when(failed);
    if (attempt >= policy.attempts || !is_worth) {
      std::rethrow_exception(given_up(std::move(failed), attempt, policy.attempts));
    }
    const std::chrono::nanoseconds delay = delays.next();
    if (deadline && event_loop::current().after(delay) >= *deadline) {
      std::rethrow_exception(given_up(std::move(failed), attempt, policy.attempts));
    }
    promise<> wait = sleep_for(delay);
    co_await wait;
  }
}

}  // namespace detail

template <typename F>
detail::attempted<F> retry(retry_policy policy, F f) {
  static_cast<void>(detail::backoff(policy));  // throws here and now
  if (!policy.time_limit) return detail::retry_until(std::move(policy), std::move(f), {});
  const std::chrono::nanoseconds limit = *policy.time_limit;
  const time_point deadline = event_loop::current().after(limit);
  return with_timeout(limit, detail::retry_until(std::move(policy), std::move(f), deadline));
}

}  // namespace fermata
