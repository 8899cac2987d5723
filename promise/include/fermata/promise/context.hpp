// SPDX-License-Identifier: MIT
/// What a task inherits: its policy, latency class and name.
///
/// Shape:    each function calls `f` at once in a changed context and gives what `f` gives; all
/// that
///           `f` starts inherits the change.
/// Thread:   loop.
/// Lifetime: `f` lives until its promise has settled.
#pragma once

#include <fermata/promise/promise.hpp>

#include <string>

namespace fermata {
namespace detail {

/// Puts a context in force while a function is called.
class context_change {
public:
  explicit context_change(context_ptr c)
      : loop_(event_loop::current()), outer_(loop_.exchange_context(std::move(c))) {}
  context_change(const context_change&) = delete;
  context_change& operator=(const context_change&) = delete;
  ~context_change() { loop_.exchange_context(std::move(outer_)); }

private:
  event_loop& loop_;
  context_ptr outer_;
};

template <typename F>
auto call_and_hold(F f) -> std::invoke_result_t<F&> {
  auto p = f();
  co_return co_await std::move(p);
}

template <typename F>
auto call_in(context_ptr c, F f) -> std::invoke_result_t<F&> {
  const context_change change(std::move(c));
  return call_and_hold(std::move(f));
}

}  // namespace detail

template <typename F>
auto with_policy(policy p, F f) -> std::invoke_result_t<F&> {
  event_loop& loop = event_loop::current();
  const context& now = *loop.current_context().get();
  return detail::call_in(context_ptr(new context(loop, p, now.latency(), now.name())),
                         std::move(f));
}

template <typename F>
auto in_class(latency_class c, F f) -> std::invoke_result_t<F&> {
  event_loop& loop = event_loop::current();
  const context& now = *loop.current_context().get();
  return detail::call_in(context_ptr(new context(loop, now.when(), c, now.name())), std::move(f));
}

/// The name that gaps and reports show.
template <typename F>
auto named(std::string name, F f) -> std::invoke_result_t<F&> {
  event_loop& loop = event_loop::current();
  const context& now = *loop.current_context().get();
  return detail::call_in(context_ptr(new context(loop, now.when(), now.latency(), std::move(name))),
                         std::move(f));
}

}  // namespace fermata
