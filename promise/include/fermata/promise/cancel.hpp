// SPDX-License-Identifier: MIT
/// Who is reached by a cancel and who is not; tokens that cancel many things at once.
///
/// Shape:   `cancel(p)` itself is in promise.hpp: it follows what waits for what, and when the
///          promise has settled nothing of the operation is active. `protect` and `no_cancel` end
///          that way at a promise. A token is a look at a source: `with_cancel(token, p)` cancels
///          `p` when the source is cancelled.
/// Pauses:  may, where more than 64 hear of a source: between them when somebody waits.
/// Thread:  loop; only what a std::stop_token is asked for may come from any thread.
/// Cost:    one allocation each.
#pragma once

#include <fermata/promise/detail/cancel_core.hpp>
#include <fermata/promise/promise.hpp>

#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

namespace fermata {

// ---- the way of a request ----

/// A promise like `p` that leaves it alone: a cancel rejects it with `cancelled` at once, and what
/// `p` stands for goes on. As Lwt's `protected`. Who waits for `p` then waits for nothing here.
template <typename T>
promise<T> protect(promise<T> p) {
  return detail::shield<T>::make(std::move(p), true);
}

/// A promise like `p` on which a cancel has no effect: it settles when `p` does. As Lwt's
/// `no_cancel`, or a wait within Eio's `Cancel.protect`.
template <typename T>
promise<T> no_cancel(promise<T> p) {
  return detail::shield<T>::make(std::move(p), false);
}

/// `co_await check_cancelled();` throws `cancelled` where the task was asked to end, and goes on at
/// once else. For work that cannot pause; `maybe_pause` asks too.
[[nodiscard]] inline detail::cancel_check check_cancelled() noexcept { return {}; }

/// `const bool asked = co_await cancel_requested();` looks without an end.
[[nodiscard]] inline detail::cancel_look cancel_requested() noexcept { return {}; }

// ---- tokens ----

/// Says whether its source was cancelled. Copied freely; one that is made from nothing never is.
class cancel_token {
public:
  cancel_token() noexcept = default;
  [[nodiscard]] bool is_cancelled() const noexcept { return core_ && core_->is_cancelled(); }
  /// The reason that was given; empty before.
  [[nodiscard]] std::string_view reason() const noexcept {
    return core_ ? core_->reason() : std::string_view();
  }
  /// Throws: `cancelled` with the reason where the source was cancelled.
  void check() const {
    if (is_cancelled()) core_->raise();
  }
  /// Resolves when the source is cancelled.
  [[nodiscard]] promise<> when_cancelled() const;
  /// A stop is requested there when the source is cancelled: for detached work, on any thread.
  [[nodiscard]] std::stop_token stop_token() const;

private:
  friend class cancel_source;
  friend class cancel_callback;
  template <typename T>
  friend promise<T> with_cancel(const cancel_token& token, promise<T> p);
  explicit cancel_token(std::shared_ptr<detail::cancel_core> c) noexcept : core_(std::move(c)) {}
  std::shared_ptr<detail::cancel_core> core_;
};

/// Cancels what its tokens reach.
class cancel_source {
public:
  cancel_source();
  /// Is cancelled with its parent, and also alone.
  explicit cancel_source(const cancel_token& parent);
  /// Is cancelled, through the loop's mailbox, when a stop is requested on any thread.
  explicit cancel_source(const std::stop_token& outer);

  [[nodiscard]] cancel_token token() const noexcept { return cancel_token(core_); }
  /// Calls the callbacks in the order they came. False: it was cancelled before.
  bool cancel(std::string_view why = {});
  [[nodiscard]] bool is_cancelled() const noexcept { return core_->is_cancelled(); }

private:
  std::shared_ptr<detail::cancel_core> core_;
};

/// Calls `f()` once when the source is cancelled, or at once where it was; no more after its end.
class cancel_callback final : private detail::cancel_hook {
public:
  cancel_callback(const cancel_token& token, unique_function<void()> f);

private:
  void source_cancelled() noexcept override;
  unique_function<void()> call_;
};

/// Settles like `p`, which is cancelled when the token's source is.
template <typename T>
promise<T> with_cancel(const cancel_token& token, promise<T> p) {
  if (token.core_ == nullptr || !p.is_pending()) return p;
  return detail::token_node<T>::make(token.core_, std::move(p));
}

}  // namespace fermata
