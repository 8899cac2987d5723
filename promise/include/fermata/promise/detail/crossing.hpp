// SPDX-License-Identifier: MIT
/// A result on its way from any thread to the loop where its promise lives.
///
/// Shape:    two halves share the object by an atomic count. The home half has the resolver and is
///           touched on its loop only; it ends when the answer is delivered or the loop ends. The
///           away half has the answer, which then is a letter.
/// Thread:   as each function says.
#pragma once

#include <fermata/promise/detail/crosses.hpp>
#include <fermata/promise/detail/some_error.hpp>

#include <atomic>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace fermata::detail {

template <typename T>
class crossing : public letter, private loop_resident {
public:
  static_assert(crosses_threads<T>, "a promise belongs to its loop: it is no result for another");

  // ---- home ----

  /// Makes the promise. `on_cancel` is called on the loop while it is pending.
  promise<T> open(event_loop& loop, unique_function<void()> on_cancel, std::source_location site) {
    auto made = make_task<T>(std::move(on_cancel), site);
    settle_ = std::move(made.settle);
    home_ = loop.letters();
    move_in(loop);
    if (loop.has_virtual_time()) {
      loop.expect_post();
      expecting_ = &loop;
    }
    return std::move(made.future);
  }
  /// Settles the promise without an answer; one that comes is ignored.
  void close(std::exception_ptr why) noexcept {
    if (!settle_) return;
    add_ref();
    settle_.reject(std::move(why));
    end_home();
    release();
  }

  // ---- away ----

  /// Keeps what `p`, which has settled, has; then `send` is due.
  void keep(promise<T> p) noexcept {
    if (p.is_rejected()) {
      error_ = p.error();
      return;
    }
    try {
      if constexpr (!std::is_void_v<T>) value_.emplace(std::move(p).get());
    } catch (...) {
      error_ = std::current_exception();
    }
  }
  template <typename... Args>
  void keep_value(Args&&... args) {
    if constexpr (!std::is_void_v<T>) value_.emplace(std::forward<Args>(args)...);
  }
  void keep_error(std::exception_ptr e) noexcept { error_ = some_error(std::move(e)); }
  /// Hands the away half over to the loop. False: the loop has ended.
  bool send() noexcept {
    const mailbox_ptr home = home_;  // this may be gone, and its hold, before `send` returns
    if (home->send(*this)) return true;
    release();
    return false;
  }

  // ---- both ----

  /// Whether the promise was pending still, as far as this thread can know.
  [[nodiscard]] bool is_wanted() const noexcept {
    return is_wanted_.load(std::memory_order_acquire);
  }
  void add_ref() noexcept { count_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

protected:
  crossing() noexcept = default;
  virtual ~crossing() = default;
  /// The loop ends while the answer is awaited. Thread: home.
  virtual void is_abandoned() noexcept {}

private:
  void deliver() noexcept final {
    if (settle_) {
      settle();
      end_home();
    }
    release();
  }
  void drop() noexcept final { release(); }
  void loop_ends() noexcept final {
    is_abandoned();
    close(std::make_exception_ptr(loop_closed()));
  }
  void settle() noexcept {
    if (error_) {
      settle_.reject(std::move(error_));
      return;
    }
    try {
      if constexpr (std::is_void_v<T>) {
        settle_.resolve();
      } else {
        settle_.resolve(std::move(*value_));
      }
    } catch (...) {
      if (settle_) settle_.reject(std::current_exception());
    }
  }
  void end_home() noexcept {
    is_wanted_.store(false, std::memory_order_release);
    settle_ = {};
    move_out();
    if (expecting_ != nullptr) std::exchange(expecting_, nullptr)->got_post();
    release();
  }

  std::atomic<int> count_ = 2;
  std::atomic<bool> is_wanted_ = true;
  mailbox_ptr home_;
  resolver<T> settle_;
  event_loop* expecting_ = nullptr;
  std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value_;
  std::exception_ptr error_;
};

}  // namespace fermata::detail
