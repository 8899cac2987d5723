// SPDX-License-Identifier: MIT
/// What a task inherits: its policy, latency class, name, and values of the user's.
///
/// Shape:    each function calls `f` at once in a changed context and gives what `f` gives; all
///           that `f` starts inherits the change: binds, awaits, forks, and `detach`.
/// Thread:   loop; what `context_key::find` and `get` give may also be read by a detached function:
///           values are shared, not copied, and const. A value that changes in secret has a lock of
///           its own.
/// Lifetime: `f` lives until its promise has settled; a value as long as who might look at it.
#pragma once

#include <fermata/promise/promise.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace fermata {
namespace detail {

/// A list of what keys are bound to, the latest first; a key stands in it once.
class context_values {
public:
  using pointer = context::values_ptr;
  context_values(const void* key, std::shared_ptr<const void> value, pointer outer) noexcept
      : key_(key), value_(std::move(value)), outer_(std::move(outer)) {}

  [[nodiscard]] static const void* find(const pointer& list, const void* key) noexcept;
  [[nodiscard]] static pointer with(const pointer& list,
                                    const void* key,
                                    std::shared_ptr<const void> value);
  /// Those of the task, or of the detached function, that runs on this thread.
  [[nodiscard]] static const pointer& current() noexcept;

private:
  [[nodiscard]] static pointer without(const pointer& list, const void* key);

  const void* key_;
  std::shared_ptr<const void> value_;
  pointer outer_;
};

/// Puts values in force on a thread without a loop while a detached function runs.
class detached_values {
public:
  explicit detached_values(context::values_ptr v) noexcept;
  detached_values(const detached_values&) = delete;
  detached_values& operator=(const detached_values&) = delete;
  ~detached_values();

private:
  context::values_ptr outer_;
};

/// The current context but for what is given.
[[nodiscard]] context_ptr changed_context(policy p, latency_class c, std::string name);
[[nodiscard]] context_ptr renamed_context(std::string name);
[[nodiscard]] context_ptr context_with(context::values_ptr values);

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
  const context_ptr now = event_loop::current().current_context();
  return detail::call_in(detail::changed_context(p, now->latency(), now->name()), std::move(f));
}

template <typename F>
auto in_class(latency_class c, F f) -> std::invoke_result_t<F&> {
  const context_ptr now = event_loop::current().current_context();
  return detail::call_in(detail::changed_context(now->when(), c, now->name()), std::move(f));
}

/// The name that gaps and reports show.
template <typename F>
auto named(std::string name, F f) -> std::invoke_result_t<F&> {
  return detail::call_in(detail::renamed_context(std::move(name)), std::move(f));
}

/// A value that follows a task wherever it goes, such as the id of the request it serves.
///
/// Shape: the key is an object, mostly a static one; what it is bound to is found by its address.
/// Cost:  a look is linear in the number of keys bound; a bind is two allocations.
template <typename T>
class context_key {
public:
  /// The name stands in the message of `get`.
  explicit constexpr context_key(std::string_view name) noexcept : name_(name) {}
  context_key(const context_key&) = delete;
  context_key& operator=(const context_key&) = delete;

  /// The value, or nullptr where none is bound; valid as long as what runs now.
  [[nodiscard]] const T* find() const noexcept {
    return static_cast<const T*>(
        detail::context_values::find(detail::context_values::current(), this));
  }
  /// Throws: `contract_error` where none is bound.
  [[nodiscard]] const T& get() const {
    if (const T* value = find()) return *value;
    throw contract_error("no value is bound to the context key " + std::string(name_));
  }
  /// Calls `f` where the key is bound to `value`.
  template <typename F>
  auto with(T value, F f) const -> std::invoke_result_t<F&> {
    return with(std::make_shared<const T>(std::move(value)), std::move(f));
  }
  template <typename F>
  auto with(std::shared_ptr<const T> value, F f) const -> std::invoke_result_t<F&> {
    return detail::call_in(detail::context_with(detail::context_values::with(
                               detail::context_values::current(), this, std::move(value))),
                           std::move(f));
  }

private:
  std::string_view name_;
};

}  // namespace fermata
