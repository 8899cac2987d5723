// SPDX-License-Identifier: MIT
/// A bounded set of objects that are dear to make and used by one task at a time: connections.
///
/// Shape:    `object_pool<T>::lease c = co_await pool.take();` then `*c`; the lease gives the
///           object back when it ends. An object that waits is validated before it is given out.
///           After a failure in `use` it is checked, and disposed of where the check says so.
/// Order:    first in, first out; the object given back last is given out first.
/// Pauses:   while `max` objects are in use, and where the functions given wait.
/// Thread:   loop.
/// Rejects:  what `create` rejects with (the place is free again); `cancelled`; `loop_closed`;
///           `broken_promise` where the pool ends while a task waits for an object.
///           What `dispose` rejects with is reported as a rejection that nobody saw; a validation
///           that rejects counts as false. A take that is cancelled while it disposes of an object
///           ends when that is gone.
/// Cost:     a coroutine a take; one place is held from the take until the object is back or gone.
/// Lifetime: the pool may go before its leases: their objects are disposed of when they end.
#pragma once

#include <fermata/promise/cancel.hpp>
#include <fermata/promise/semaphore.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace fermata {

/// What a pool does with its objects. Only `create` is needed.
template <typename T>
struct pool_functions {
  pool_functions() {}  // no aggregate: safe within an awaited expression under g++ 12
  unique_function<promise<T>()> create;
  /// Whether an object that has waited is fit to be used; the default says yes.
  unique_function<promise<bool>(T&)> validate;
  /// Whether an object is fit to be used again after `use` has failed; the default says no.
  unique_function<bool(T&)> check;
  /// Ends an object; the default destroys it.
  unique_function<promise<>(T)> dispose;
};

template <typename T>
class object_pool {
  struct core;

public:
  /// An object in use.
  class [[nodiscard]] lease {
  public:
    /// Holds nothing.
    lease() noexcept = default;
    lease(lease&& other) noexcept = default;
    lease& operator=(lease&& other) noexcept {
      lease taken(std::move(other));
      std::swap(core_, taken.core_);
      std::swap(object_, taken.object_);
      std::swap(place_, taken.place_);
      std::swap(generation_, taken.generation_);
      return *this;
    }
    ~lease() { give_back(false); }

    [[nodiscard]] T& operator*() noexcept { return *object_; }
    [[nodiscard]] T* operator->() noexcept { return &*object_; }
    [[nodiscard]] explicit operator bool() const noexcept { return core_ != nullptr; }
    /// The object is disposed of and not used again.
    /// Throws: `contract_error` where it is back already.
    void discard() {
      if (!core_) throw contract_error("a lease that holds no object is discarded");
      give_back(true);
    }

  private:
    friend class object_pool;
    lease(std::shared_ptr<core> c, T&& object, semaphore::units&& place)
        : core_(std::move(c)),
          object_(std::move(object)),
          place_(std::move(place)),
          generation_(core_->generation) {}
    void give_back(bool is_broken) noexcept {
      const std::shared_ptr<core> c = std::move(core_);
      if (!c) return;
      const bool keep = !is_broken && !c->is_closed && generation_ == c->generation;
      T object = std::move(*object_);
      object_.reset();
      if (keep) {
        c->idle.push_back(std::move(object));
        place_.return_all();
      } else {
        retire(c, std::move(object), std::move(place_));
      }
    }

    std::shared_ptr<core> core_;
    std::optional<T> object_;
    semaphore::units place_;
    std::size_t generation_ = 0;
  };

  /// Throws: `contract_error` for a pool of nothing or without a function that creates.
  object_pool(std::size_t max, pool_functions<T> f) {
    if (max == 0) throw contract_error("a pool of no object at all");
    if (!f.create) throw contract_error("a pool has no function that creates an object");
    core_ = std::make_shared<core>(max, std::move(f));
    core_->idle.reserve(max < 64 ? max : 64);
  }
  object_pool(const object_pool&) = delete;
  object_pool& operator=(const object_pool&) = delete;
  /// What waits in the pool is disposed of; tasks that wait for an object are rejected with
  /// `broken_promise` at once.
  ~object_pool() {
    core_->is_closed = true;
    clear();
    if (waiting() > 0) core_->places.add(waiting());  // each wakes, and sees that there is no pool
  }

  /// An object that waits and is fit, else a new one.
  promise<lease> take() { return take_from(core_); }
  /// Calls `f(T&) -> promise<U>` with an object until that has settled. Where it rejects, and not
  /// with `cancelled`, `check` decides whether the object is used again; after a cancel it is not.
  /// Lifetime: `f` lives until the result has settled.
  template <typename F>
  auto use(F f) -> std::invoke_result_t<F&, T&> {
    return use_from(core_, std::move(f));
  }
  /// Disposes of all that wait now, and of those in use when they come back.
  void clear() noexcept {
    ++core_->generation;
    std::vector<T> old = std::move(core_->idle);
    core_->idle.clear();
    for (T& object : old) retire(core_, std::move(object), semaphore::units());
  }

  /// Objects that wait to be used.
  [[nodiscard]] std::size_t idle() const noexcept { return core_->idle.size(); }
  /// Objects that are in use, being made or being disposed of after use.
  [[nodiscard]] std::size_t in_use() const noexcept { return max() - core_->places.available(); }
  [[nodiscard]] std::size_t max() const noexcept { return core_->places.total(); }
  /// Tasks that wait for an object.
  [[nodiscard]] std::size_t waiting() const noexcept { return core_->places.waiting(); }

private:
  struct core {
    core(std::size_t max, pool_functions<T> f) : functions(std::move(f)), places(max) {}
    pool_functions<T> functions;
    semaphore places;
    std::vector<T> idle;
    std::size_t generation = 0;
    bool is_closed = false;
  };

  static promise<lease> take_from(std::shared_ptr<core> c) {
    semaphore::units place = co_await c->places.acquire();
    if (c->is_closed) throw broken_promise("cannot take an object: its pool is gone");
    while (!c->idle.empty()) {
      T object = std::move(c->idle.back());
      c->idle.pop_back();
      bool is_fit = false;
      try {
        is_fit = co_await is_valid(c, object);
      } catch (...) {  // cancelled, or the loop ends
        retire(c, std::move(object), std::move(place));
        throw;
      }
      if (is_fit) co_return lease(c, std::move(object), std::move(place));
      // It ends in order also for a taker that is cancelled, who has the place until then.
      promise<> gone = no_cancel(end(c, std::move(object)));
      co_await gone;
      co_await check_cancelled();
    }
    promise<T> made = c->functions.create();
    T object = co_await std::move(made);
    co_return lease(c, std::move(object), std::move(place));
  }
  static promise<bool> is_valid(std::shared_ptr<core> c, T& object) {
    if (!c->functions.validate) co_return true;
    bool is_fit = false;
    try {
      promise<bool> asked = c->functions.validate(object);
      is_fit = co_await asked;
    } catch (const cancelled&) {
      throw;
    } catch (const loop_closed&) {
      throw;
    } catch (...) {
    }
    co_return is_fit;
  }
  template <typename F>
  static auto use_from(std::shared_ptr<core> c, F f) -> std::invoke_result_t<F&, T&> {
    promise<lease> taken = take_from(c);
    lease held = co_await std::move(taken);
    bool is_fit = false;
    try {
      auto p = f(*held);
      co_await p;
      is_fit = true;
      co_return co_await std::move(p);
    } catch (const cancelled&) {
      if (!is_fit) held.discard();
      throw;
    } catch (...) {
      if (!is_fit && !(c->functions.check && c->functions.check(*held))) held.discard();
      throw;
    }
  }
  // In order: the object ends, then its place is free. A rejection is reported, not lost.
  static promise<> end(std::shared_ptr<core> c, T object) {
    if (!c->functions.dispose) co_return;
    try {
      promise<> done = c->functions.dispose(std::move(object));
      co_await done;
    } catch (...) {
      event_loop::current().report_unobserved(std::current_exception());
    }
  }
  static promise<> end_and_free(std::shared_ptr<core> c, T object, semaphore::units place) {
    promise<> done = end(c, std::move(object));
    co_await done;
    place.return_all();
  }
  // Destructors come here: without a loop, or where nothing is to be called, the object just ends.
  static void retire(const std::shared_ptr<core>& c, T&& object, semaphore::units place) noexcept {
    if (!c->functions.dispose || event_loop::find_current() == nullptr) return;
    const promise<> rest = end_and_free(c, std::move(object), std::move(place));
  }

  std::shared_ptr<core> core_;
};

}  // namespace fermata
