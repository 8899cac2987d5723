// SPDX-License-Identifier: MIT
/// A promise of this loop that any thread may settle.
///
/// Shape:    `make_remote_promise<T>()` gives the promise and its other end, which is moved to a
///           thread and used there once. A dropped end rejects with `broken_promise`. After the
///           loop has ended, `resolve` and `reject` return false and do nothing.
/// Cancel:   a cancel of the promise rejects it at once; the other end sees it by `is_waiting` and
///           its stop token. With `make_remote_task` the promise stays pending until the other end
///           has been used: its holder waits for the stop, ends the work, and rejects.
/// Pauses:   never.
/// Thread:   loop to make one; a `remote_resolver`: any, one at a time.
/// Rejects:  what `reject` is given, `broken_promise`, `cancelled`, `loop_closed`.
/// Cost:     four allocations, and a wake-up where the loop sleeps.
#pragma once

#include <fermata/promise/detail/crossing.hpp>

#include <source_location>
#include <stop_token>
#include <utility>

namespace fermata {

namespace detail {

template <typename T>
class remote_end final : public crossing<T> {
public:
  std::stop_source stop;

private:
  void is_abandoned() noexcept override { stop.request_stop(); }
};

}  // namespace detail

template <typename T = void>
class [[nodiscard]] remote_resolver {
public:
  remote_resolver() noexcept = default;
  remote_resolver(remote_resolver&& other) noexcept : end_(std::exchange(other.end_, nullptr)) {}
  remote_resolver& operator=(remote_resolver&& other) noexcept {
    remote_resolver old(std::move(*this));
    end_ = std::exchange(other.end_, nullptr);
    return *this;
  }
  ~remote_resolver() {
    if (end_ != nullptr) reject(std::make_exception_ptr(broken_promise()));
  }

  /// Sends the value to the loop. False: the loop has ended. Throws: what T's constructor throws,
  /// and then the end may be used again; `contract_error` where it has been used.
  template <typename... Args>
  bool resolve(Args&&... args) {
    detail::remote_end<T>& end = used_once();
    end.keep_value(std::forward<Args>(args)...);
    end_ = nullptr;
    return end.send();
  }
  bool reject(std::exception_ptr e) {
    detail::remote_end<T>& end = used_once();
    end_ = nullptr;
    end.keep_error(std::move(e));
    return end.send();
  }
  /// Whether the promise is pending still; it may have been settled a moment ago.
  [[nodiscard]] bool is_waiting() const noexcept { return end_ != nullptr && end_->is_wanted(); }
  /// Asked to stop when the promise is cancelled, or its loop ends; its callbacks run on the loop.
  [[nodiscard]] std::stop_token stop_token() const {
    return end_ != nullptr ? end_->stop.get_token() : std::stop_token();
  }
  /// False once it has been used or moved from.
  [[nodiscard]] explicit operator bool() const noexcept { return end_ != nullptr; }

private:
  template <typename U>
  friend struct remote_promise;
  explicit remote_resolver(detail::remote_end<T>* end) noexcept : end_(end) {}
  detail::remote_end<T>& used_once() const {
    if (end_ == nullptr) throw contract_error("a promise is resolved twice");
    return *end_;
  }

  detail::remote_end<T>* end_ = nullptr;
};

template <typename T>
struct remote_promise {
  promise<T> future;
  remote_resolver<T> settle;

  /// `waits`: a cancel leaves the promise pending until the other end has been used.
  [[nodiscard]] static remote_promise make(bool waits, std::source_location site) {
    event_loop& here = event_loop::current();
    auto* end = new detail::remote_end<T>;
    const auto on_cancel = [end, waits] {
      end->add_ref();
      end->stop.request_stop();
      if (!waits) end->close(detail::plain_cancelled());
      end->release();
    };
    promise<T> p = end->open(here, on_cancel, site);
    return {std::move(p), remote_resolver<T>(end)};
  }
};

template <typename T = void>
[[nodiscard]] remote_promise<T> make_remote_promise(
    std::source_location site = std::source_location::current()) {
  return remote_promise<T>::make(false, site);
}

template <typename T = void>
[[nodiscard]] remote_promise<T> make_remote_task(
    std::source_location site = std::source_location::current()) {
  return remote_promise<T>::make(true, site);
}

}  // namespace fermata
