// SPDX-License-Identifier: MIT
/// A place for one value: full or empty.
///
/// Shape:    `co_await v.put(x)` waits while it is full, `co_await v.take()` while it is empty;
///           `read` waits for a value and leaves it there. Without ends that close: a channel has
///           those.
/// Order:    first in, first out; a value is handed over at once: to all that read, then to the one
///           that has waited longest to take it. Of many that read the first 256 get it at once,
///           the others in steps: they get the latest value that was put meanwhile.
/// Pauses:   where it waits; else it checks the slice before it does anything.
/// Thread:   loop.
/// Rejects:  `cancelled`, `loop_closed`; a read with what the copy of the value throws, a put or
///           take with what its move does. A cancelled waiter leaves no hole and loses no value; a
///           take whose promise nobody holds is passed by.
/// Cost:     O(1) and no allocation; as a promise one; a put O(tasks that read), in steps of 256.
/// Lifetime: who waits for one that is destroyed is rejected with `contract_error`.
#pragma once

#include <fermata/promise/detail/operation.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace fermata {

template <typename T>
class mvar;

namespace detail {

template <typename T>
class mvar_put {
public:
  using result = void;
  struct slot {
    std::exception_ptr error;  // of the move into its place
  };
  mvar_put(mvar<T>& v, T&& x) : value(std::move(x)), mvar_(&v) {}
  [[nodiscard]] bool is_ready() const noexcept { return !mvar_->is_full(); }
  void perform() { mvar_->store(std::move(value)); }
  void take(const slot& s) const {
    if (s.error) std::rethrow_exception(s.error);
  }
  [[nodiscard]] wait_queue& queue() const noexcept { return mvar_->putters_; }

  T value;

private:
  mvar<T>* mvar_;
};

template <typename T>
class mvar_take {
public:
  using result = T;
  using slot = std::optional<T>;
  explicit mvar_take(mvar<T>& v) noexcept : mvar_(&v) {}
  [[nodiscard]] bool is_ready() const noexcept { return mvar_->is_full(); }
  [[nodiscard]] T perform() { return mvar_->take_out(); }
  [[nodiscard]] T take(slot& value) { return std::move(*value); }
  [[nodiscard]] wait_queue& queue() const noexcept { return mvar_->takers_; }

private:
  mvar<T>* mvar_;
};

template <typename T>
class mvar_read {
public:
  using result = T;
  struct slot {
    std::optional<T> value;
    std::exception_ptr error;  // of the copy
  };
  explicit mvar_read(mvar<T>& v) noexcept : mvar_(&v) {}
  [[nodiscard]] bool is_ready() const noexcept { return mvar_->is_full(); }
  [[nodiscard]] T perform() { return *mvar_->value_; }
  [[nodiscard]] T take(slot& s) {
    if (s.error) std::rethrow_exception(std::move(s.error));
    return std::move(*s.value);
  }
  [[nodiscard]] wait_queue& queue() const noexcept { return mvar_->readers_; }

private:
  mvar<T>* mvar_;
};

/// Those who wait to read: each gets a copy of what is put, many of them later.
template <typename T>
class read_queue final : public wait_queue {
public:
  read_queue() noexcept = default;
  ~read_queue() { hurry(); }  // while it is known what they get
  /// Throws: what the copy for those who hear later does; then nobody has got it.
  void show(const T& value) {
    if (empty() && !is_behind()) return;
    if (size() > batch || is_behind()) kept_.emplace(value);
    const T* const outer = std::exchange(shown_, &value);
    grant_all();
    shown_ = outer;
  }

private:
  bool give_to(wait_node& n) noexcept override {
    auto& slot = waiting<mvar_read<T>>::slot_of(n);
    try {
      slot.value.emplace(shown_ != nullptr ? *shown_ : *kept_);
    } catch (...) {
      slot.error = std::current_exception();
    }
    return true;
  }
  void all_have_heard() noexcept override { kept_.reset(); }

  const T* shown_ = nullptr;  // while it is granted to all
  std::optional<T> kept_;     // for those who hear later
};

}  // namespace detail

template <typename T>
class mvar {
public:
  using put_operation = operation<detail::mvar_put<T>>;
  using take_operation = operation<detail::mvar_take<T>>;
  using read_operation = operation<detail::mvar_read<T>>;

  /// Empty.
  mvar() noexcept = default;
  explicit mvar(T value) : value_(std::move(value)) {}

  put_operation put(T value, std::source_location site = std::source_location::current()) {
    return {detail::mvar_put<T>(*this, std::move(value)), site};
  }
  take_operation take(std::source_location site = std::source_location::current()) {
    return {detail::mvar_take<T>(*this), site};
  }
  /// A copy of the value, which stays.
  read_operation read(std::source_location site =
                          std::source_location::current()) requires std::copy_constructible<T> {
    return {detail::mvar_read<T>(*this), site};
  }
  /// False: it is full, and `value` is as it was.
  [[nodiscard]] bool try_put(T&& value) {
    if (is_full()) return false;
    store(std::move(value));
    return true;
  }
  [[nodiscard]] std::optional<T> try_take() {
    if (!is_full()) return std::nullopt;
    return std::optional<T>(take_out());
  }
  [[nodiscard]] bool is_full() const noexcept { return value_.has_value(); }

private:
  friend class detail::mvar_put<T>;
  friend class detail::mvar_take<T>;
  friend class detail::mvar_read<T>;

  // It is empty, and so nobody waits to put.
  void store(T&& value) {
    if constexpr (std::copy_constructible<T>) readers_.show(value);
    if (detail::wait_node* n = takers_.front_wanted()) {
      detail::waiting<detail::mvar_take<T>>::slot_of(*n).emplace(std::move(value));
      takers_.grant(*n);
    } else {
      value_.emplace(std::move(value));
    }
  }
  T take_out() {
    const refill guard(*this);
    return T(std::move(*value_));
  }
  // The value has gone: the next one that waits comes in. One that cannot be moved is told to who
  // puts it.
  struct refill {
    explicit refill(mvar& v) noexcept : of(v) {}
    refill(const refill&) = delete;
    refill& operator=(const refill&) = delete;
    ~refill() {
      using put = detail::waiting<detail::mvar_put<T>>;
      of.value_.reset();
      while (!of.is_full() && !of.putters_.empty()) {
        detail::wait_node& n = *of.putters_.front();
        try {
          of.value_.emplace(std::move(put::op_of(n).value));
        } catch (...) {
          put::slot_of(n).error = std::current_exception();
        }
        of.putters_.grant(n);
      }
    }
    mvar& of;
  };

  std::optional<T> value_;
  detail::wait_queue putters_;
  detail::wait_queue takers_;
  // Nobody reads what cannot be copied.
  std::conditional_t<std::copy_constructible<T>, detail::read_queue<T>, detail::wait_queue>
      readers_;
};

}  // namespace fermata
