// SPDX-License-Identifier: MIT
/// A value that changes, and tasks that want to know the latest.
///
/// Shape:    `auto [writer, reader] = watch<T>(initial);` `writer.set(x)` never waits. A reader
///           sees the latest value only: `co_await r.changed()` goes on when there is one that it
///           has not got yet, `r.get()` gets it. With the last writer gone `changed` gives false.
/// Pauses:   `changed`, while nothing is new; else it checks the slice.
/// Thread:   loop.
/// Rejects:  `cancelled`, `loop_closed`; no change is lost by either.
/// Cost:     a set O(tasks that wait), in steps of 256; the rest O(1).
/// Lifetime: a reference that `get` gave is valid until the next await.
#pragma once

#include <fermata/promise/detail/counted.hpp>
#include <fermata/promise/detail/operation.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <utility>

namespace fermata {
namespace detail {

template <typename T>
struct watch_core {
  explicit watch_core(T&& initial) : value(std::move(initial)) {}
  std::size_t count = 0;
  std::size_t writers = 0;
  std::size_t readers = 0;
  std::uint64_t version = 0;
  T value;
  wait_queue waiters;
};

template <typename T>
class watch_change {
public:
  using result = bool;
  struct slot {};
  watch_change(counted_ptr<watch_core<T>> core, std::uint64_t seen) noexcept
      : core_(std::move(core)), seen_(seen) {}
  [[nodiscard]] bool is_ready() const noexcept {
    return core_->version != seen_ || core_->writers == 0;
  }
  [[nodiscard]] bool perform() const noexcept { return core_->version != seen_; }
  [[nodiscard]] bool take(slot) const noexcept { return perform(); }
  [[nodiscard]] wait_queue& queue() const noexcept { return core_->waiters; }

private:
  counted_ptr<watch_core<T>> core_;
  std::uint64_t seen_;
};

}  // namespace detail

template <typename T>
class watch_reader {
public:
  using change_operation = operation<detail::watch_change<T>>;

  /// No watch; everything but assignment and destruction throws `contract_error`.
  watch_reader() noexcept = default;
  /// Has seen the value that is there now.
  explicit watch_reader(detail::counted_ptr<detail::watch_core<T>> core)
      : core_(std::move(core)), seen_(core_->version) {
    ++core_->readers;
  }
  watch_reader(const watch_reader& other) noexcept : core_(other.core_), seen_(other.seen_) {
    if (core_) ++core_->readers;
  }
  watch_reader(watch_reader&&) noexcept = default;
  watch_reader& operator=(watch_reader other) noexcept {
    std::swap(core_, other.core_);
    std::swap(seen_, other.seen_);
    return *this;
  }
  ~watch_reader() {
    if (core_) --core_->readers;
  }

  /// The latest value, which then counts as seen.
  [[nodiscard]] const T& get() {
    seen_ = core().version;
    return core().value;
  }
  [[nodiscard]] bool has_changed() const { return core().version != seen_; }
  /// Goes on when there is a value that `get` has not given: true; or none will come: false.
  change_operation changed(std::source_location site = std::source_location::current()) const {
    static_cast<void>(core());
    return {detail::watch_change<T>(core_, seen_), site};
  }
  /// Waits until `pred(value)` says so, and gives a copy; it is asked at once and at each change.
  /// Rejects: `broken_promise` once the last writer is gone; what `pred` throws.
  template <std::predicate<const T&> Pred>
  promise<T> wait_until(Pred pred) const {
    watch_reader self(*this);
    while (!pred(self.get())) {
      const bool is_new = co_await self.changed();
      if (!is_new)
        throw broken_promise("cannot wait for a value: the watch has no writer any more");
    }
    co_return self.get();
  }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(core_); }

private:
  [[nodiscard]] detail::watch_core<T>& core() const {
    if (!core_) throw contract_error("a reader that was moved from is used");
    return *core_;
  }
  detail::counted_ptr<detail::watch_core<T>> core_;
  std::uint64_t seen_ = 0;
};

template <typename T>
class watch_writer {
public:
  /// No watch; everything but assignment and destruction throws `contract_error`.
  watch_writer() noexcept = default;
  explicit watch_writer(detail::counted_ptr<detail::watch_core<T>> core) : core_(std::move(core)) {
    ++core_->writers;
  }
  watch_writer(const watch_writer& other) noexcept : core_(other.core_) {
    if (core_) ++core_->writers;
  }
  watch_writer(watch_writer&&) noexcept = default;
  watch_writer& operator=(watch_writer other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~watch_writer() {
    if (core_ && --core_->writers == 0) core_->waiters.grant_all();
  }

  void set(T value) const {
    core().value = std::move(value);
    notify();
  }
  /// Changes the value in place by `f(value)`.
  template <std::invocable<T&> F>
  void modify(F&& f) const {
    std::forward<F>(f)(core().value);
    notify();
  }
  [[nodiscard]] const T& get() const { return core().value; }
  /// A reader that has seen the value of now.
  [[nodiscard]] watch_reader<T> subscribe() const {
    static_cast<void>(core());
    return watch_reader<T>(core_);
  }
  [[nodiscard]] std::size_t readers() const { return core().readers; }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(core_); }

private:
  void notify() const noexcept {
    ++core_->version;
    core_->waiters.grant_all();
  }
  [[nodiscard]] detail::watch_core<T>& core() const {
    if (!core_) throw contract_error("a writer that was moved from is used");
    return *core_;
  }
  detail::counted_ptr<detail::watch_core<T>> core_;
};

/// The first writer and the first reader.
template <typename T>
struct watch {
  explicit watch(T initial)
      : watch(detail::counted_ptr<detail::watch_core<T>>(
            new detail::watch_core<T>(std::move(initial)))) {}

  watch_writer<T> writer;
  watch_reader<T> reader;

private:
  explicit watch(const detail::counted_ptr<detail::watch_core<T>>& core)
      : writer(core), reader(core) {}
};

}  // namespace fermata
