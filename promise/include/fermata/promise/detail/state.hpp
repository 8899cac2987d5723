// SPDX-License-Identifier: MIT
/// The shared state behind a promise: its phase, its waiters and what will settle it.
///
/// Shape:  counted, not atomic. A pending state is settled once, then its waiters are queued in the
///         order they came. A forwarded state stands for another one (`tail`).
/// Owners: handles, the producer (a frame, a node, a resolver) and the waiters that are ready; a
///         waiter that still waits is owned by the state and does not count.
/// Thread: loop.
#pragma once

#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/errors.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <utility>
#include <variant>

namespace fermata::detail {

class state_base;

/// Knows how to stop what will settle a state.
class canceller {
public:
  /// Asks for an end. Gives the state that the request goes on to, or nullptr where it has arrived.
  virtual state_base* request_cancel() noexcept = 0;

protected:
  ~canceller() = default;
};

/// A node that becomes ready when a state settles.
class waiter : public ready_node {
public:
  /// The state is gone and will never settle: the waiter ends itself.
  virtual void drop() noexcept = 0;
  /// Begins to wait for `s`, which is pending, in the current context.
  void wait_for(state_base& s) noexcept;
  /// Whether the node is in the list of a pending state.
  [[nodiscard]] bool is_waiting() const noexcept { return upstream_ != nullptr && !is_ready_; }
  /// What it waits for or, once ready, what has settled.
  [[nodiscard]] state_base* upstream() const noexcept { return upstream_; }
  /// Takes `s`, which has settled.
  void take(state_base& s) noexcept;
  /// Forgets the state: a settled one is released, the list of a pending one is left.
  void let_go() noexcept;

protected:
  ~waiter() { let_go(); }

private:
  friend class state_base;
  state_base* upstream_ = nullptr;  // counted once ready
  bool is_ready_ = false;
};

enum class phase : std::uint8_t { pending, resolved, rejected, forwarded };

class state_base {
public:
  state_base() noexcept = default;
  state_base(const state_base&) = delete;
  state_base& operator=(const state_base&) = delete;

  void add_ref() noexcept { ++count_; }
  void release() noexcept {
    if (--count_ == 0) bury(*this);
  }
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint32_t handles() const noexcept { return handles_; }
  void add_handle() noexcept {
    ++count_;
    ++handles_;
  }
  void release_handle() noexcept {
    --handles_;
    release();
  }

  /// The state that this one stands for; paths are compressed on the way.
  [[nodiscard]] state_base& root() noexcept {
    return phase_ == phase::forwarded ? forwarded_root() : *this;
  }
  [[nodiscard]] phase now() const noexcept { return phase_; }
  [[nodiscard]] bool is_pending() const noexcept { return phase_ == phase::pending; }
  [[nodiscard]] const std::exception_ptr& error() noexcept {
    observed_ = true;
    return error_;
  }

  /// Settles a pending state; on a settled one it does nothing and returns false.
  bool reject(std::exception_ptr e) noexcept;
  void set_producer(canceller* p) noexcept { producer_ = p; }
  [[nodiscard]] canceller* producer() const noexcept { return is_pending() ? producer_ : nullptr; }

  [[nodiscard]] std::size_t waiters() const noexcept { return waiters_.size(); }
  /// Whether `outer` may stand for this state: nobody else could tell the difference.
  [[nodiscard]] bool is_private() const noexcept { return handles_ <= 1 && waiters_.empty(); }
  /// Makes this pending state stand for `outer`, which is pending too.
  void forward_to(state_base& outer) noexcept;

protected:
  virtual ~state_base() = default;
  void settled(phase p) noexcept;
  virtual void on_settled() noexcept {}

private:
  friend class waiter;
  static void bury(state_base& s) noexcept;
  static void destroy(state_base& s) noexcept;
  state_base& forwarded_root() noexcept;

  std::uint32_t count_ = 1;
  std::uint32_t handles_ = 0;
  phase phase_ = phase::pending;
  bool observed_ = false;
  canceller* producer_ = nullptr;
  state_base* target_ = nullptr;     // of a forwarded state, counted
  state_base* next_dead_ = nullptr;  // while it waits to be destroyed
  node_list waiters_;
  std::exception_ptr error_;
};

/// A value, or nothing for void.
template <typename T>
class state : public state_base {
public:
  template <typename... Args>
  bool resolve(Args&&... args) {
    if (!is_pending()) return false;
    std::construct_at(std::addressof(value_), std::forward<Args>(args)...);
    settled(phase::resolved);
    return true;
  }
  [[nodiscard]] T& value() noexcept { return value_; }
  [[nodiscard]] state& typed_root() noexcept { return static_cast<state&>(root()); }

  state() noexcept {}

protected:
  ~state() override {
    if (now() == phase::resolved) std::destroy_at(std::addressof(value_));
  }

private:
  union {
    T value_;
  };
};

template <>
class state<void> : public state_base {
public:
  bool resolve() {
    if (!is_pending()) return false;
    settled(phase::resolved);
    return true;
  }
  [[nodiscard]] state& typed_root() noexcept { return static_cast<state&>(root()); }
};

/// Calls what a cancel calls; what it throws nobody could catch, and it is reported as unobserved.
void call_hook(unique_function<void()>& hook) noexcept;

/// A state that user code settles: it hears when its loop ends, and may have a way to be cancelled.
template <typename T>
class leaf_state : public state<T>, private loop_resident, private canceller {
public:
  explicit leaf_state(unique_function<void()> on_cancel = nullptr)
      : on_cancel_(std::move(on_cancel)), has_hook_(on_cancel_) {
    this->set_producer(this);
    if (event_loop* loop = event_loop::find_current()) move_in(*loop);
  }
  /// Keeps a state that nobody resolves until it is cancelled or its loop ends.
  void keep() noexcept {
    this->add_ref();
    is_kept_ = true;
  }

private:
  void loop_ends() noexcept override { end(std::make_exception_ptr(loop_closed())); }
  state_base* request_cancel() noexcept override {
    if (!has_hook_) {
      end(std::make_exception_ptr(cancelled()));
      return nullptr;
    }
    unique_function<void()> once = std::move(on_cancel_);  // it may end this state
    if (once) call_hook(once);
    return nullptr;
  }
  void end(std::exception_ptr e) noexcept {
    this->add_ref();  // its own hold and the last waiter may go meanwhile
    this->root().reject(std::move(e));
    if (std::exchange(is_kept_, false)) this->release();
    this->release();
  }
  void on_settled() noexcept override { move_out(); }

  unique_function<void()> on_cancel_;
  bool has_hook_;
  bool is_kept_ = false;
};

/// Cancels what settles `s`, along the chain of what waits for what. Does not recurse.
void cancel_state(state_base* s) noexcept;

/// The state to cancel for `w` where it is the only waiter; else `w` leaves and the result is
/// nullptr.
[[nodiscard]] state_base* cancel_or_leave(waiter& w) noexcept;

}  // namespace fermata::detail
