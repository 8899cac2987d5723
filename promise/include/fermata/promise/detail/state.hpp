// SPDX-License-Identifier: MIT
/// The shared state behind a promise: its phase, its waiters and what will settle it.
///
/// Shape:  counted, not atomic. A pending state is settled once, then its waiters are queued in the
///         order they came. A forwarded state stands for another one (`tail`).
/// Owners: handles, the producer (a frame, a node, a resolver) and the waiters that are ready; a
///         waiter that still waits is owned by the state and does not count.
/// Thread: loop.
#pragma once

#include <fermata/loop/block_cache.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/detail/rejection.hpp>
#include <fermata/promise/errors.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <utility>
#include <variant>

namespace fermata::detail {

class state_base;

/// Differs from thread to thread, while they live.
[[nodiscard]] inline std::uint32_t thread_mark() noexcept {
  return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(&running_loop) >> 4);
}

/// What a single step may do at most when many waiters, links or promises end at once.
inline constexpr std::size_t batch = 256;

/// Where something waits, and for what.
struct hop {
  std::source_location site;
  state_base* upstream = nullptr;
};

/// Knows how to stop what will settle a state.
class canceller {
public:
  /// What it waits for; nullptr where that is no promise.
  virtual hop describe() const noexcept { return {}; }
  /// Asks for an end. Gives the state that the request goes on to, or nullptr where it has arrived.
  virtual state_base* request_cancel() noexcept = 0;

protected:
  ~canceller() = default;
};

/// A node that becomes ready when a state settles.
class waiter : public ready_node {
public:
  /// The state is gone and will never settle, or the loop has ended: the waiter ends itself.
  virtual void drop() noexcept = 0;
  void lost() noexcept final {
    let_go();
    drop();
  }
  /// Called instead of `run` where `counts_at_once` said so: inside the call that settles the
  /// state, which is not held. It may count and make nodes ready, and nothing else.
  virtual void counted() noexcept {}
  /// Begins to wait for `s`, which is pending, in the current context.
  void wait_for(state_base& s) noexcept;
  /// Whether the state it waits for is pending still.
  [[nodiscard]] bool is_waiting() const noexcept;
  /// What it waits for or, once ready, what has settled.
  [[nodiscard]] state_base* upstream() const noexcept { return upstream_; }
  /// Takes `s`, which has settled.
  void take(state_base& s) noexcept;
  /// Whether it holds a settled state.
  [[nodiscard]] bool holds() const noexcept { return is_ready_; }
  /// Forgets the state: a settled one is released, the list of a pending one is left.
  void let_go() noexcept;
  /// Gives up the settled state that it holds, and its count with it.
  [[nodiscard]] state_base* give_up() noexcept {
    is_ready_ = false;
    return std::exchange(upstream_, nullptr);
  }

protected:
  ~waiter() {
    if (is_ready_) let_go();
  }
  void counts_at_once() noexcept { counts_ = true; }

private:
  friend class state_base;
  friend class wake_group;
  friend class waiters_now;
  void wake(state_base& s, bool first) noexcept;
  state_base* upstream_ = nullptr;  // counted once ready
  bool is_ready_ = false;
  bool counts_ = false;
};

enum class phase : std::uint8_t { pending, resolved, rejected, forwarded };

class state_base : public in_cached_block {
public:
  state_base() noexcept : producer_(nullptr) {}
  state_base(const state_base&) = delete;
  state_base& operator=(const state_base&) = delete;

  void add_ref() noexcept { ++uses_; }
  [[gnu::always_inline]] void release() noexcept { take_off(1); }
  [[nodiscard]] std::uint32_t count() const noexcept { return static_cast<std::uint32_t>(uses_); }
  [[nodiscard]] std::uint32_t handles() const noexcept {
    return static_cast<std::uint32_t>(uses_ >> 32);
  }
  void add_handle() noexcept { uses_ += one_handle + 1; }
  [[gnu::always_inline]] void release_handle() noexcept { take_off(one_handle + 1); }
  /// Somebody's count becomes that of a handle.
  void turn_into_handle() noexcept { uses_ += one_handle; }

  /// The state that this one stands for; paths are compressed on the way.
  [[nodiscard]] state_base& root() noexcept {
    return phase_ == phase::forwarded ? forwarded_root() : *this;
  }
  /// In builds without NDEBUG: refuses a thread that did not make the state.
  void check_thread() const {
#ifndef NDEBUG
    if (thread_ != 0 && thread_ != thread_mark()) {
      throw contract_error("a promise is touched by a thread that it does not belong to");
    }
#endif
  }
  [[nodiscard]] phase now() const noexcept { return phase_; }
  [[nodiscard]] bool is_pending() const noexcept { return phase_ == phase::pending; }
  /// The rejection; null where there is none.
  [[nodiscard]] std::exception_ptr error() noexcept {
    observed_ = true;
    return peek_error();
  }
  /// The same for one who only looks: it does not count as seen.
  [[nodiscard]] std::exception_ptr peek_error() const noexcept {
    return phase_ == phase::rejected ? rejection_.error : nullptr;
  }

  /// Settles a pending state; on a settled one it does nothing and returns false.
  bool reject(std::exception_ptr e, rejection_path path = {}) noexcept;
  /// The way that a rejection has come.
  [[nodiscard]] rejection_path path() const noexcept {
    return phase_ == phase::rejected ? rejection_.path : rejection_path();
  }
  void set_producer(canceller* p) noexcept { producer_ = p; }
  [[nodiscard]] canceller* producer() const noexcept { return is_pending() ? producer_ : nullptr; }

  [[nodiscard]] bool has_waiters() const noexcept { return !waiters_.empty(); }
  [[nodiscard]] bool has_one_waiter() const noexcept { return waiters_.has_one(); }
  /// Whether `outer` may stand for this state: nobody else could tell the difference.
  [[nodiscard]] bool is_private() const noexcept { return handles() <= 1 && waiters_.empty(); }
  /// Makes this pending state stand for `outer`, which is pending too.
  void forward_to(state_base& outer) noexcept;

protected:
  /// Has resolved already; `bytes` as `needs_no_end` has it, or 0.
  struct born_resolved {
    std::size_t bytes;
  };
  explicit state_base(born_resolved b) noexcept
      : phase_(phase::resolved), size_class_(class_of(b.bytes)) {}
  virtual ~state_base() {
    if (phase_ == phase::rejected) std::destroy_at(&rejection_);
  }
  void settled(phase p) noexcept;
  /// Once it has resolved, its memory may be given back without calling its destructor.
  void needs_no_end(std::size_t bytes) noexcept { size_class_ = class_of(bytes); }
  /// From now on `on_settled` is called: when the state settles, or dies pending.
  void tell_when_settled() noexcept { tells_ = true; }
  virtual void on_settled() noexcept {}

private:
  friend class waiter;
  friend class wake_group;
  friend class waiters_now;
  friend class gravedigger;
  static void bury(state_base& s) noexcept;
  static void bury_with_end(state_base& s) noexcept;
  static void destroy(state_base& s) noexcept;
  static void bury_rest() noexcept;
  void wake_all() noexcept;
  void wake(waiter& w) noexcept { w.wake(*this, false); }
  state_base& forwarded_root() noexcept;

  [[gnu::always_inline]] void take_off(std::uint64_t uses) noexcept {
    uses_ -= uses;
    if (count() == 0) bury(*this);
  }

  static constexpr std::uint8_t class_of(std::size_t bytes) noexcept {
    return bytes > block_cache::largest_bytes
               ? std::uint8_t{0}
               : static_cast<std::uint8_t>(block_cache::size_class(bytes));
  }
#ifdef NDEBUG
  static std::uint32_t maker() noexcept { return 0; }
#else
  static std::uint32_t maker() noexcept { return thread_mark(); }
#endif

  static constexpr std::uint64_t one_handle = std::uint64_t{1} << 32;
  union {
    std::uint64_t uses_ = 1;  // all owners; in the upper half those that are handles
    state_base* next_dead_;   // while it waits to be destroyed
  };
  phase phase_ = phase::pending;
  bool observed_ = false;
  bool tells_ = false;
  std::uint8_t size_class_ = 0;     // where it needs no end, else 0
  std::uint32_t thread_ = maker();  // 0: made by code that does not check
  struct rejection {
    std::exception_ptr error;
    rejection_path path;
  };
  union {
    canceller* producer_;  // while it is pending
    state_base* target_;   // of a forwarded state, counted
    rejection rejection_;  // of a rejected one
  };
  node_list waiters_;
};

inline void waiter::wait_for(state_base& s) noexcept {
  event_loop::current().adopt(*this);
  upstream_ = &s;
  s.waiters_.push_back(*this);
}

inline bool waiter::is_waiting() const noexcept {
  return upstream_ != nullptr && upstream_->is_pending();
}

inline void waiter::take(state_base& s) noexcept {
  s.add_ref();
  upstream_ = &s;
  is_ready_ = true;
}

inline void waiter::let_go() noexcept {
  unlink();
  state_base* s = std::exchange(upstream_, nullptr);
  if (std::exchange(is_ready_, false)) s->release();
}

inline void waiter::wake(state_base& s, bool first) noexcept {
  if (counts_) {
    upstream_ = nullptr;
    counted();
    return;
  }
  s.add_ref();
  is_ready_ = true;
  if (first) {
    event_loop::make_ready_first(*this);
  } else {
    event_loop::make_ready(*this);
  }
}

inline void state_base::settled(phase p) noexcept {
  phase_ = p;
  if (tells_) on_settled();
  if (waiters_.empty()) return;
  if (waiters_.has_one()) {
    wake(static_cast<waiter&>(*waiters_.pop_front()));
  } else {
    wake_all();
  }
}

/// Takes the waiters of a pending state, to run them inside the call that settles it.
class waiters_now {
public:
  explicit waiters_now(state_base* s) noexcept;
  waiters_now(const waiters_now&) = delete;
  waiters_now& operator=(const waiters_now&) = delete;
  /// Gives them back where the state has not been settled.
  ~waiters_now();
  void run() noexcept;

private:
  state_base* state_;
  node_list waiters_;
};

/// For a state that is no part of a larger object.
struct alone_t {};
inline constexpr alone_t alone;

/// Whether a state that has resolved with a T needs no destructor.
template <typename T>
inline constexpr bool is_plain = std::is_void_v<T> || std::is_trivially_destructible_v<T>;

/// A value, or nothing for void.
template <typename T>
class state : public state_base {
public:
  template <typename... Args>
  bool resolve(Args&&... args) noexcept(std::is_nothrow_constructible_v<T, Args...>) {
    if (!is_pending()) return false;
    std::construct_at(std::addressof(value_), std::forward<Args>(args)...);
    settled(phase::resolved);
    return true;
  }
  [[nodiscard]] T& value() noexcept { return value_; }
  [[nodiscard]] state& typed_root() noexcept { return static_cast<state&>(root()); }

  state() noexcept {}
  explicit state(alone_t) noexcept {
    if constexpr (is_plain<T>) needs_no_end(sizeof(state));
  }
  template <typename... Args>
  explicit state(std::in_place_t, Args&&... args)
      : state_base(born_resolved{is_plain<T> ? sizeof(state) : 0}),
        value_(std::forward<Args>(args)...) {}

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
  state() noexcept = default;
  explicit state(alone_t) noexcept { needs_no_end(sizeof(state)); }
  explicit state(std::in_place_t) noexcept : state_base(born_resolved{sizeof(state)}) {}
  bool resolve() noexcept {
    if (!is_pending()) return false;
    settled(phase::resolved);
    return true;
  }
  [[nodiscard]] state& typed_root() noexcept { return static_cast<state&>(root()); }
};

/// Calls what a cancel calls; what it throws nobody could catch, and it is reported as unobserved.
void call_hook(unique_function<void()>& hook) noexcept;

/// A state that user code settles: it hears when its loop ends. A cancel rejects it.
template <typename T>
class leaf_state : public state<T>, private loop_resident, private canceller {
public:
  leaf_state() {
    this->set_producer(this);
    this->tell_when_settled();
    if (event_loop* loop = event_loop::find_current()) move_in(*loop);
  }
  explicit leaf_state(alone_t) : leaf_state() {
    if constexpr (is_plain<T>) {
      this->needs_no_end(sizeof(leaf_state));  // once it has resolved it has moved out
    }
  }
  /// Keeps a state that nobody resolves until it is cancelled or its loop ends.
  void keep() noexcept {
    this->add_ref();
    is_kept_ = true;
  }

protected:
  void end(std::exception_ptr e) noexcept {
    this->add_ref();  // its own hold and the last waiter may go meanwhile
    this->root().reject(std::move(e));
    if (std::exchange(is_kept_, false)) this->release();
    this->release();
  }
  state_base* request_cancel() noexcept override {
    end(detail::plain_cancelled());
    return nullptr;
  }

private:
  void loop_ends() noexcept override { end(std::make_exception_ptr(loop_closed())); }
  void on_settled() noexcept override { move_out(); }

  bool is_kept_ = false;
};

/// The same where a cancel calls a function, which sees to the end.
template <typename T>
class task_state final : public leaf_state<T> {
public:
  task_state(unique_function<void()> on_cancel, std::source_location site)
      : on_cancel_(std::move(on_cancel)), site_(site) {}

private:
  hop describe() const noexcept override { return {site_}; }
  state_base* request_cancel() noexcept override {
    unique_function<void()> once = std::move(on_cancel_);  // it may end this state
    if (once) call_hook(once);
    return nullptr;
  }
  unique_function<void()> on_cancel_;
  std::source_location site_;
};

/// Cancels what settles `s`, along the chain of what waits for what. Does not recurse; a chain of
/// any length is followed in batches.
void cancel_state(state_base* s) noexcept;

/// The state to cancel for `w` where it is the only waiter; else `w` leaves and the result is
/// nullptr.
[[nodiscard]] state_base* cancel_or_leave(waiter& w) noexcept;

}  // namespace fermata::detail
