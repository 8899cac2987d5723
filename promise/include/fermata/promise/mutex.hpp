// SPDX-License-Identifier: MIT
/// Locks for tasks of one loop: what must not be seen half done across an await.
///
/// Shape:    `mutex::guard g = co_await m.lock();` the guard unlocks when it ends. On one thread a
///           lock is needed only where an await stands between two steps.
/// Order:    first in, first out, and the lock is handed over at the moment of release: nobody gets
///           in between. `rw_mutex` is as strict: readers share, but those behind a writer that
///           waits wait too, so that neither side starves.
/// Pauses:   a lock that is taken; a free one checks the slice before it is taken, never after.
/// Thread:   loop.
/// Rejects:  `cancelled` (the place in the queue is given up), `loop_closed`.
/// Throws:   `contract_error` where a guard is released twice.
/// Cost:     O(1), no allocation.
/// Lifetime: the mutex outlives its guards; who waits for one that is destroyed is rejected with
///           `contract_error`.
#pragma once

#include <fermata/promise/detail/unit_queue.hpp>
#include <fermata/promise/keeps_thread.hpp>

#include <cstddef>
#include <limits>
#include <source_location>
#include <utility>

namespace fermata {
namespace detail {

/// Holds units of `Owner` until it ends. `Kind` tells guards of one owner apart.
template <typename Owner, int Kind = 0>
class [[nodiscard]] lock_guard {
public:
  /// Holds nothing.
  lock_guard() noexcept = default;
  lock_guard(lock_guard&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)), units_(other.units_) {}
  lock_guard& operator=(lock_guard&& other) noexcept {
    lock_guard taken(std::move(other));
    std::swap(owner_, taken.owner_);
    std::swap(units_, taken.units_);
    return *this;
  }
  ~lock_guard() {
    if (owner_ != nullptr) owner_->units_.give(units_);
  }

  /// Releases the lock before the guard ends.
  void unlock() {
    if (owner_ == nullptr) throw contract_error("a guard that holds no lock is unlocked");
    std::exchange(owner_, nullptr)->units_.give(units_);
  }
  [[nodiscard]] explicit operator bool() const noexcept { return owner_ != nullptr; }
  /// What it holds, or nullptr.
  [[nodiscard]] Owner* locked() const noexcept { return owner_; }

private:
  friend Owner;
  template <typename, typename>
  friend class take_units;
  lock_guard(Owner& owner, std::size_t units) noexcept : owner_(&owner), units_(units) {}

  Owner* owner_ = nullptr;
  std::size_t units_ = 0;
};

}  // namespace detail

class mutex {
public:
  using guard = detail::lock_guard<mutex>;
  using lock_operation = operation<detail::take_units<guard, mutex>>;

  mutex() noexcept : units_(1) {}

  lock_operation lock(std::source_location site = std::source_location::current()) noexcept {
    return {{*this, units_, 1}, site};
  }
  /// A guard that holds nothing where the lock is taken.
  [[nodiscard]] guard try_lock() noexcept { return units_.try_take(1) ? guard(*this, 1) : guard(); }
  [[nodiscard]] bool is_locked() const noexcept { return units_.available() == 0; }
  /// How many wait for it.
  [[nodiscard]] std::size_t waiting() const noexcept { return units_.size(); }

private:
  friend guard;
  detail::unit_queue units_;
};

class rw_mutex {
public:
  using guard = detail::lock_guard<rw_mutex, 0>;
  using shared_guard = detail::lock_guard<rw_mutex, 1>;
  using lock_operation = operation<detail::take_units<guard, rw_mutex>>;
  using shared_lock_operation = operation<detail::take_units<shared_guard, rw_mutex>>;

  rw_mutex() noexcept : units_(all) {}

  /// Alone.
  lock_operation lock(std::source_location site = std::source_location::current()) noexcept {
    return {{*this, units_, all}, site};
  }
  /// Beside others that share.
  shared_lock_operation lock_shared(
      std::source_location site = std::source_location::current()) noexcept {
    return {{*this, units_, 1}, site};
  }
  [[nodiscard]] guard try_lock() noexcept {
    return units_.try_take(all) ? guard(*this, all) : guard();
  }
  [[nodiscard]] shared_guard try_lock_shared() noexcept {
    return units_.try_take(1) ? shared_guard(*this, 1) : shared_guard();
  }
  /// Goes on to share what was held alone; readers that wait come in.
  /// Throws: `contract_error` where `held` holds nothing.
  [[nodiscard]] static shared_guard downgrade(guard held) {
    if (!held) throw contract_error("a guard that holds no lock is downgraded");
    rw_mutex& m = *std::exchange(held.owner_, nullptr);
    shared_guard shared(m, 1);
    m.units_.give(all - 1);
    return shared;
  }
  [[nodiscard]] bool is_locked() const noexcept { return units_.available() == 0; }
  /// How many share it now.
  [[nodiscard]] std::size_t readers() const noexcept {
    return is_locked() ? 0 : all - units_.available();
  }
  [[nodiscard]] std::size_t waiting() const noexcept { return units_.size(); }

private:
  friend guard;
  friend shared_guard;
  static constexpr std::size_t all = std::numeric_limits<std::size_t>::max();
  detail::unit_queue units_;
};

/// Calls `f() -> promise<U>` with the lock held until that has settled.
/// Lifetime: `f` lives until the result has settled.
template <typename F>
auto with_lock(mutex& m, F f) -> std::invoke_result_t<F&> {
  const mutex::guard held = co_await m.lock();
  auto p = f();
  co_return co_await std::move(p);
}

template <typename Owner, int Kind>
inline constexpr bool keeps_thread<detail::lock_guard<Owner, Kind>> = true;

}  // namespace fermata
