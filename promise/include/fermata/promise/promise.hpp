// SPDX-License-Identifier: MIT
/// Promises: results that come later. Complete for a user of coroutines.
///
/// Shape:   a promise is an eager, shared, copyable handle; it settles once, with a value or an
///          exception. A coroutine that returns one starts at once and runs to its first wait.
///          A dropped handle cancels nothing: the work runs on.
/// Pauses:  every bind and every `co_await` checks the slice; on a settled promise it goes on at
///          once when nothing is due. Callbacks never run inside `resolve`.
/// Thread:  the loop's; without NDEBUG another one throws `contract_error`, unless the promise is a
///          value that nobody has waited for (see Cost). Only `post`, `detach` and what is built
///          from them cross threads.
/// Rejects: what the callback throws or its promise rejects with; `broken_promise` when the
///          resolver is dropped; `loop_closed` when the loop ends (what waits for a promise of
///          another loop of the same thread hears of it when that promise settles);
///          `contract_error` where a callback gives its own result (`p = a.bind([&] { return p; })`
///          does) or a coroutine awaits its own promise. A ring of several that wait for each other
///          is not seen and stays pending; `async_trace` shows it, a `test_loop` throws `deadlock`.
/// Cost:    one allocation a promise, none for `ready` of a scalar or of nothing, whose value lies
///          in the handle; one more a coroutine or bind; chains of any length need no stack, also
///          without optimisation and under sanitizers.
///
/// `co_await p` gives `const T&` for an lvalue; for an rvalue `T`, moved out of the last handle,
/// else copied (`contract_error` where T can only be moved). `bind` and `map` pass the same.
#pragma once

#include <fermata/promise/detail/state.hpp>
#include <fermata/promise/keeps_thread.hpp>

#include <concepts>
#include <cstdint>
#include <optional>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>

namespace fermata {

template <typename T = void>
class promise;
template <typename T = void>
class resolver;

namespace detail {

template <typename P>
struct promised;
template <typename T>
struct promised<promise<T>> {
  using type = T;
};
template <typename P>
using promised_t = typename promised<std::remove_cvref_t<P>>::type;

template <typename P>
concept any_promise = requires {
  typename promised<std::remove_cvref_t<P>>::type;
};

/// What `f` gives when it is called with a promise's value. No type where it cannot be: a function
/// that takes a value which can only be moved is none for an lvalue, and that is no error yet.
template <typename F, typename T>
struct called_with : std::invoke_result<F&, T> {};
template <typename F>
struct called_with<F, void> : std::invoke_result<F&> {};
template <typename F, typename T>
using called_with_t = typename called_with<F, T>::type;

/// How the value of an lvalue promise is passed.
template <typename T>
struct read_as {
  using type = const T&;
};
template <>
struct read_as<void> {
  using type = void;
};
template <typename T>
using read_t = typename read_as<T>::type;

template <typename T>
struct coroutine_promise;

[[noreturn]] void refuse_empty();
[[noreturn]] void refuse_second_use();
[[nodiscard]] std::exception_ptr waits_for_itself();

struct access;
struct has_handle {};
struct has_value {};

/// The value of a promise that was made by `ready` and has no state; scalars and nothing only: a
/// handle stays small, and T may be incomplete where a promise of it is declared.
template <typename T>
struct own_value {
  static constexpr bool may_be = false;
};
template <typename T>
requires(std::is_scalar_v<T>) struct own_value<T> {
  static constexpr bool may_be = true;
  T value{};
};
template <>
struct own_value<void> {
  static constexpr bool may_be = true;
};

}  // namespace detail

/// What a promise may be; also `is_pending`, `is_resolved` and `is_rejected`.
enum class promise_state : std::uint8_t { pending, resolved, rejected };

template <typename T>
class [[nodiscard]] promise {
public:
  using value_type = T;
  using promise_type = detail::coroutine_promise<T>;

  /// No promise; everything but assignment and destruction throws `contract_error`.
  promise() noexcept = default;
  promise(const promise& other) noexcept : own_(other.own_), state_(other.state_) {
    if (has_state()) state_->add_handle();
  }
  promise(promise&& other) noexcept
      : own_(other.own_), state_(std::exchange(other.state_, nullptr)) {}
  promise& operator=(promise other) noexcept {
    std::swap(own_, other.own_);
    std::swap(state_, other.state_);
    return *this;
  }
  [[gnu::always_inline]] ~promise() {
    if (has_state()) state_->release_handle();
  }

  [[nodiscard]] explicit operator bool() const noexcept { return state_ != nullptr; }
  [[nodiscard, gnu::always_inline]] bool is_pending() const {
    return !holds_value() && root().is_pending();
  }
  [[nodiscard]] bool is_resolved() const {
    return holds_value() || root().now() == detail::phase::resolved;
  }
  [[nodiscard]] bool is_rejected() const {
    return !holds_value() && root().now() == detail::phase::rejected;
  }
  [[nodiscard]] promise_state state() const {
    if (is_pending()) return promise_state::pending;
    return is_resolved() ? promise_state::resolved : promise_state::rejected;
  }
  /// The rejection, which then counts as seen; null unless rejected.
  [[nodiscard]] std::exception_ptr error() const { return root().error(); }
  /// The value, or nullptr unless resolved. Not for promise<>.
  [[nodiscard]] const T* peek() const requires(!std::is_void_v<T>) {
    return is_resolved() ? &root().value() : nullptr;
  }
  /// The value of a resolved promise, moved out of the last handle.
  /// Throws: the rejection; `contract_error` while it is pending.
  T get() &&;

  /// Goes on with `f(value) -> promise<U>` when this resolves; a rejection passes by.
  /// Lifetime: `f` lives until the result has settled, so a capturing coroutine lambda is safe.
  template <typename F>
  auto bind(F f, std::source_location site = std::source_location::current())
      const& -> detail::called_with_t<F, detail::read_t<T>>;
  template <typename F>
  auto bind(F f,
            std::source_location site =
                std::source_location::current()) && -> detail::called_with_t<F, T>;
  /// The same with `f(value) -> U`.
  template <typename F>
  auto map(F f, std::source_location site = std::source_location::current())
      const& -> promise<std::decay_t<detail::called_with_t<F, detail::read_t<T>>>>;
  template <typename F>
  auto map(F f, std::source_location site = std::source_location::current()) && -> promise<
      std::decay_t<detail::called_with_t<F, T>>>;
  /// Goes on with `f(std::exception_ptr) -> promise<T>` when this rejects, `cancelled` included.
  template <typename F>
  promise catch_(F f, std::source_location site = std::source_location::current()) const&;
  template <typename F>
  promise catch_(F f, std::source_location site = std::source_location::current()) &&;
  /// Goes on with `f(const E&) -> promise<T>` when this rejects with an E; all else passes by.
  template <typename E, typename F>
  promise catch_as(F f, std::source_location site = std::source_location::current()) const&;
  template <typename E, typename F>
  promise catch_as(F f, std::source_location site = std::source_location::current()) &&;
  /// Either of both.
  template <typename F, typename H>
  auto try_bind(F f, H h, std::source_location site = std::source_location::current()) const
      -> std::invoke_result_t<H&, std::exception_ptr>;
  /// Runs `f() -> promise<>` in any case, then settles as this did; `f`'s own rejection wins.
  template <typename F>
  promise finalize(F f, std::source_location site = std::source_location::current()) const&;
  template <typename F>
  promise finalize(F f, std::source_location site = std::source_location::current()) &&;
  /// Keeps the objects until this has settled.
  template <typename... Kept>
  promise attach(Kept&&... kept) &&;

  /// Calls `f(value)`, `f(std::exception_ptr)` or `f(const promise&)` once this has resolved, has
  /// rejected, or either. What `f` throws nobody sees: it goes to the loop's `on_unobserved`.
  template <typename F>
  void on_success(F f, std::source_location site = std::source_location::current()) const;
  template <typename F>
  void on_failure(F f, std::source_location site = std::source_location::current()) const;
  template <typename F>
  void on_settled(F f, std::source_location site = std::source_location::current()) const;

private:
  friend struct detail::access;
  explicit promise(detail::state<T>* s) noexcept : state_(s) {
    if (state_ != nullptr) state_->add_handle();
  }
  promise(detail::state<T>* s, detail::has_handle) noexcept : state_(s) {}
  promise(detail::has_value, detail::own_value<T> v) noexcept : own_(v), state_(no_state()) {}

  // What `state_` is where the value lies in the handle: no state's address.
  static detail::state<T>* no_state() noexcept {
    return reinterpret_cast<detail::state<T>*>(std::uintptr_t{1});
  }
  [[nodiscard]] bool holds_value() const noexcept {
    return detail::own_value<T>::may_be && state_ == no_state();
  }
  [[nodiscard]] bool has_state() const noexcept {
    if constexpr (!detail::own_value<T>::may_be) return state_ != nullptr;
    return reinterpret_cast<std::uintptr_t>(state_) > 1;
  }
  [[nodiscard, gnu::always_inline]] detail::state<T>& root() const {
    if (!has_state()) [[unlikely]]
      make_state();
    state_->check_thread();
    return state_->typed_root();
  }
  void make_state() const;

  [[no_unique_address]] detail::own_value<T> own_;
  mutable detail::state<T>* state_ = nullptr;
};

/// The other end of a promise. Moved, not copied; used once.
template <typename T>
class [[nodiscard]] resolver {
public:
  resolver() noexcept = default;
  resolver(resolver&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  resolver& operator=(resolver&& other) noexcept {
    resolver taken(std::move(other));
    std::swap(state_, taken.state_);
    return *this;
  }
  /// Rejects a promise that is still pending with `broken_promise`.
  [[gnu::always_inline]] ~resolver() {
    if (state_ != nullptr) break_promise();
  }

  /// Settles the promise and queues its waiters. False: it was cancelled meanwhile, which is no
  /// mistake.
  /// Throws: `contract_error` at the second use; what the value's construction throws, and then it
  /// has not been used.
  template <typename... Args>
  bool resolve(Args&&... args) {
    detail::state<T>* const s = take();
    bool first = false;
    if constexpr (noexcept(s->resolve(std::forward<Args>(args)...))) {
      first = s->typed_root().resolve(std::forward<Args>(args)...);
    } else {
      try {
        first = s->typed_root().resolve(std::forward<Args>(args)...);
      } catch (...) {
        state_ = s;
        throw;
      }
    }
    s->release();
    return first;
  }
  bool reject(std::exception_ptr e, std::source_location site = std::source_location::current()) {
    detail::state<T>* s = take();
    const bool first = s->root().reject(std::move(e), detail::rejection_path(site, {}));
    s->release();
    return first;
  }
  /// The inline form: the waiters there are run before this returns, unless 64 calls are nested
  /// already. The caller's invariants must hold: anyone may run.
  template <typename... Args>
  bool resolve_now(Args&&... args) {
    detail::waiters_now inline_run(is_waiting() ? &state_->root() : nullptr);
    const bool first = resolve(std::forward<Args>(args)...);
    inline_run.run();
    return first;
  }
  /// Whether the promise is pending still and somebody holds it.
  [[nodiscard]] bool is_waiting() const noexcept {
    return state_ != nullptr && state_->root().is_pending() &&
           (state_->root().handles() > 0 || state_->root().has_waiters());
  }
  /// False once it has been used or moved from.
  [[nodiscard]] explicit operator bool() const noexcept { return state_ != nullptr; }

private:
  friend struct detail::access;
  explicit resolver(detail::state<T>* s) noexcept : state_(s) {}
  void break_promise() noexcept { reject(std::make_exception_ptr(broken_promise())); }
  detail::state<T>* take() {
    if (state_ == nullptr) [[unlikely]]
      detail::refuse_second_use();
    state_->check_thread();
    return std::exchange(state_, nullptr);
  }

  detail::state<T>* state_ = nullptr;
};

template <typename T = void>
struct promise_and_resolver {
  promise<T> future;
  resolver<T> settle;
};

/// A promise and the means to settle it. A cancel rejects it with `cancelled` at once.
template <typename T = void>
[[nodiscard]] promise_and_resolver<T> make_promise();

/// The same where a cancel means work: `on_cancel()` is called once and must see to it that the
/// resolver is used soon, with `cancelled` or with a result that came first.
/// `site` is what `async_trace` shows while it is pending.
template <typename T = void>
[[nodiscard]] promise_and_resolver<T> make_task(
    unique_function<void()> on_cancel, std::source_location site = std::source_location::current());

/// A promise that has the value already.
template <typename T>
[[nodiscard]] promise<std::decay_t<T>> ready(T&& value);
[[nodiscard]] promise<> ready();
/// A promise that is rejected already.
template <typename T = void>
[[nodiscard]] promise<T> rejected(std::exception_ptr e,
                                  std::source_location site = std::source_location::current());
template <typename T = void, typename E>
requires(!std::same_as<std::remove_cvref_t<E>, std::exception_ptr>)
    [[nodiscard]] promise<T> rejected(E e,
                                      std::source_location site = std::source_location::current()) {
  return rejected<T>(std::make_exception_ptr(std::move(e)), site);
}
/// A promise that stays pending until it is cancelled or its loop ends.
template <typename T = void>
[[nodiscard]] promise<T> never();

/// Asks for an end of what `p` waits for.
///
/// Shape: follows what waits for what. A waiter of a promise that has other waiters leaves it and
///        is rejected with `cancelled`; the cancel of the last waiter reaches the operation itself,
///        which rejects once it is over, or resolves where its result came first. A task that runs
///        or is about to hears of it at its next wait on a pending promise, or at `maybe_pause`. A
///        request is kept, by every task that it went through, until one of these has ended in
///        `cancelled`. A task that ends before it hears resolves; who waits for it and was not
///        asked itself goes on.
template <typename T>
void cancel(const promise<T>& p);

/// Starts `f() -> promise<>` for its effects. A rejection goes to `on_error(std::exception_ptr)`,
/// without one to the loop's `on_unobserved`; a cancel is none. `f` lives until its end.
template <typename F, typename H>
requires std::invocable<H&, std::exception_ptr>
void async(F f, H on_error, std::source_location site = std::source_location::current());
template <typename F>
void async(F f, std::source_location site = std::source_location::current());

/// The chain of sites behind a promise, one a line: of a pending one what waits where, down to what
/// is waited for; of a rejected one the error and the binds and awaits that it came through, first
/// last. At most 64 sites.
template <typename T>
[[nodiscard]] std::string async_trace(const promise<T>& p);

/// In a coroutine, `co_return co_await tail(std::move(p))`: the coroutine's promise becomes `p`,
/// and its frame is freed at once, so that recursion of any depth runs in constant memory. Only
/// where nobody else holds `p`, which is why it is taken over: a handle that stayed in the frame
/// would keep both. Else it is an ordinary wait.
template <typename T>
[[nodiscard]] auto tail(promise<T>&& p);

}  // namespace fermata

#include <fermata/promise/detail/coroutine.hpp>
