// SPDX-License-Identifier: MIT
/// A number of units that tasks take and give back: to bound what runs at once.
///
/// Shape:    `semaphore::units u = co_await s.acquire(3);` gives the units back when it ends.
///           Units can be split, merged and returned in part; forgotten, they stay taken until
///           `release`.
/// Order:    first in, first out, handed over at the moment of release: a large request is not
///           overtaken by small ones behind it.
/// Pauses:   where units are lacking; else it checks the slice before it takes them, never after.
/// Thread:   loop.
/// Rejects:  `cancelled` (the place in the queue is given up), `loop_closed`.
/// Throws:   `contract_error` where more is asked for, or released, than there can be.
/// Cost:     O(1), no allocation; units for many are handed over in steps of 256.
/// Lifetime: the semaphore outlives its units; who waits for one that is destroyed is rejected with
///           `contract_error`.
#pragma once

#include <fermata/promise/detail/unit_queue.hpp>
#include <fermata/promise/keeps_thread.hpp>

#include <cstddef>
#include <source_location>
#include <utility>

namespace fermata {

class semaphore;

/// Units that somebody holds.
class [[nodiscard]] semaphore_units {
public:
  /// None.
  semaphore_units() noexcept = default;
  semaphore_units(semaphore_units&& other) noexcept
      : owner_(other.owner_), count_(std::exchange(other.count_, 0)) {}
  semaphore_units& operator=(semaphore_units&& other) noexcept {
    semaphore_units taken(std::move(other));
    std::swap(owner_, taken.owner_);
    std::swap(count_, taken.count_);
    return *this;
  }
  ~semaphore_units() { return_all(); }

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] explicit operator bool() const noexcept { return count_ > 0; }
  void return_all() noexcept;
  /// Gives `n` of them back. Throws: `contract_error` where they are fewer.
  void return_some(std::size_t n);
  /// Moves `n` of them to a holder of their own. Throws: `contract_error` where they are fewer.
  [[nodiscard]] semaphore_units split(std::size_t n);
  /// Takes over those of another. Throws: `contract_error` where they are of another semaphore.
  void merge(semaphore_units&& other);
  /// They stay taken, until somebody calls `semaphore::release`. Returns how many.
  std::size_t forget() noexcept { return std::exchange(count_, 0); }

private:
  friend class semaphore;
  template <typename, typename>
  friend class detail::take_units;
  semaphore_units(semaphore& owner, std::size_t n) noexcept : owner_(&owner), count_(n) {}

  semaphore* owner_ = nullptr;
  std::size_t count_ = 0;
};

class semaphore {
public:
  using units = semaphore_units;
  using acquire_operation = operation<detail::take_units<units, semaphore>>;

  explicit semaphore(std::size_t total) noexcept : total_(total), units_(total) {}

  /// Throws: `contract_error` where `n` is more than there are in all.
  acquire_operation acquire(std::size_t n = 1,
                            std::source_location site = std::source_location::current());
  /// None where they are lacking or somebody waits.
  [[nodiscard]] units try_acquire(std::size_t n = 1) noexcept {
    return units_.try_take(n) ? units(*this, n) : units();
  }
  /// Gives back units that were forgotten. Throws: `contract_error` where fewer are taken.
  void release(std::size_t n = 1);
  /// Makes `n` units more. Throws: `contract_error` where the number is too large.
  void add(std::size_t n);

  [[nodiscard]] std::size_t available() const noexcept { return units_.available(); }
  [[nodiscard]] std::size_t total() const noexcept { return total_; }
  /// How many tasks wait.
  [[nodiscard]] std::size_t waiting() const noexcept { return units_.size(); }

private:
  friend semaphore_units;
  std::size_t total_;
  detail::unit_queue units_;
};

/// Calls `f() -> promise<U>` with `n` units held until that has settled.
/// Lifetime: `f` lives until the result has settled.
template <typename F>
auto with_units(semaphore& s, std::size_t n, F f) -> std::invoke_result_t<F&> {
  const semaphore::units held = co_await s.acquire(n);
  auto p = f();
  co_return co_await std::move(p);
}

inline void semaphore_units::return_all() noexcept {
  if (count_ > 0) owner_->units_.give(std::exchange(count_, 0));
}

template <>
inline constexpr bool keeps_thread<semaphore_units> = true;

}  // namespace fermata
