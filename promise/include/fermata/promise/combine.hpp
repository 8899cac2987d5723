// SPDX-License-Identifier: MIT
/// Several promises as one: both, join, all and pick.
///
/// Shape:   the result settles when all the promises have, also after a failure. A cancel of the
///          result goes on to every promise that is still pending.
/// Pauses:  never by itself; the values come through the queue.
/// Thread:  loop.
/// Rejects: with the only error, or `multiple_errors` for several; else `cancelled`.
/// Cost:    one allocation and one node a promise.
#pragma once

#include <fermata/promise/promise.hpp>

#include <cstddef>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

namespace fermata {
namespace detail {

class gather;

class gather_member final : public waiter {
public:
  void run() noexcept override;
  void drop() noexcept override;

private:
  friend class gather;
  gather* owner_ = nullptr;
  bool has_ended_ = false;
};

/// Waits for a number of states and calls `finish` when all have settled or been left.
class gather : public canceller {
public:
  gather(const gather&) = delete;
  gather& operator=(const gather&) = delete;
  virtual ~gather() = default;

  state_base* request_cancel() noexcept override;

protected:
  explicit gather(std::size_t members)
      : members_(std::make_unique<gather_member[]>(members)),
        count_(members),
        remaining_(members) {}
  void start(std::size_t i, state_base& s) noexcept;
  /// After the last `start`. The gather may be gone afterwards.
  void started() noexcept;
  /// Settles the result; the gather is deleted after it.
  virtual void finish() noexcept = 0;
  /// Called once for each member that ends, while others may be pending.
  virtual void ended(std::size_t) noexcept {}

private:
  friend class gather_member;
  void end(gather_member& m) noexcept;
  void finish_if_complete() noexcept;

  std::unique_ptr<gather_member[]> members_;
  std::size_t count_;
  std::size_t remaining_;
  bool is_starting_ = true;
};

/// The error that a set of settled promises makes together; null where all have resolved. A promise
/// that is pending still was left by a cancel.
class error_sum {
public:
  template <typename T>
  void add(const promise<T>& p) {
    state<T>& s = access::root(p);
    if (s.is_pending()) {
      has_cancelled_ = true;
    } else if (s.now() == phase::rejected) {
      add_error(s.error());
    }
  }
  [[nodiscard]] std::exception_ptr take();

private:
  void add_error(std::exception_ptr e);
  std::vector<std::exception_ptr> errors_;
  bool has_cancelled_ = false;
};

/// A gather with its result: `Collect` has `error()`, `value()` and `promises(f)`.
template <typename Out, typename Collect>
class gather_into final : public gather {
public:
  static promise<Out> make(std::size_t members, Collect c) {
    auto* out = new state<Out>;
    promise<Out> result = access::handle(out);
    auto* g = new gather_into(members, std::move(c), out);
    std::size_t i = 0;
    g->collect_.each([&](state_base& s) { g->start(i++, s); });
    g->started();
    return result;
  }

private:
  gather_into(std::size_t members, Collect c, state<Out>* out)
      : gather(members), collect_(std::move(c)), out_(out) {
    out_->set_producer(this);
  }
  void finish() noexcept override {
    state<Out>& root = out_->typed_root();
    try {
      if (std::exception_ptr e = collect_.error()) {
        root.reject(std::move(e));
      } else if constexpr (std::is_void_v<Out>) {
        root.resolve();
      } else {
        root.resolve(collect_.value());
      }
    } catch (...) {
      root.reject(std::current_exception());
    }
    out_->release();
  }
  void ended(std::size_t i) noexcept override {
    if (collect_.is_enough(i)) static_cast<void>(request_cancel());
  }

  Collect collect_;
  state<Out>* out_;
};

template <typename T>
using item_of = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <typename T>
item_of<T> take_item(const promise<T>& p) {
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return take_value(access::root(p), 1);
  }
}

template <typename A, typename B>
struct collect_both {
  promise<A> a;
  promise<B> b;
  template <typename F>
  void each(F&& f) {
    f(access::root(a));
    f(access::root(b));
  }
  bool is_enough(std::size_t) const noexcept { return false; }
  std::exception_ptr error() {
    error_sum sum;
    sum.add(a);
    sum.add(b);
    return sum.take();
  }
  std::pair<item_of<A>, item_of<B>> value() { return {take_item(a), take_item(b)}; }
};

template <typename T>
struct collect_all {
  std::vector<promise<T>> members;
  template <typename F>
  void each(F&& f) {
    for (auto& p : members) f(access::root(p));
  }
  bool is_enough(std::size_t) const noexcept { return false; }
  std::exception_ptr error() {
    error_sum sum;
    for (auto& p : members) sum.add(p);
    return sum.take();
  }
  std::vector<item_of<T>> value() {
    std::vector<item_of<T>> values;
    values.reserve(members.size());
    for (auto& p : members) values.push_back(take_item(p));
    return values;
  }
};

template <typename T>
struct collect_first {
  std::vector<promise<T>> members;
  std::size_t first = static_cast<std::size_t>(-1);
  template <typename F>
  void each(F&& f) {
    for (auto& p : members) f(access::root(p));
  }
  bool is_enough(std::size_t i) noexcept {
    if (first != static_cast<std::size_t>(-1)) return false;
    first = i;
    return true;
  }
  std::exception_ptr error() {
    for (auto& p : members) static_cast<void>(access::root(p).error());  // a loser's is seen
    error_sum sum;
    sum.add(members[first]);
    return sum.take();
  }
  T value() { return take_value(access::root(members[first]), 1); }
};

}  // namespace detail

/// Both values; nothing is std::monostate.
template <typename A, typename B>
promise<std::pair<detail::item_of<A>, detail::item_of<B>>> both(promise<A> a, promise<B> b) {
  using out = std::pair<detail::item_of<A>, detail::item_of<B>>;
  detail::collect_both<A, B> c{std::move(a), std::move(b)};
  return detail::gather_into<out, detail::collect_both<A, B>>::make(2, std::move(c));
}

/// Waits for all of them.
inline promise<> join(std::vector<promise<>> members) {
  const std::size_t n = members.size();
  detail::collect_all<void> c{std::move(members)};
  return detail::gather_into<void, detail::collect_all<void>>::make(n, std::move(c));
}
template <std::same_as<promise<>>... P>
promise<> join(P... members) {
  std::vector<promise<>> list;
  (list.push_back(std::move(members)), ...);
  return join(std::move(list));
}

/// All values, in the order of the promises.
template <typename T>
promise<std::vector<T>> all(std::vector<promise<T>> members) {
  const std::size_t n = members.size();
  detail::collect_all<T> c{std::move(members)};
  return detail::gather_into<std::vector<T>, detail::collect_all<T>>::make(n, std::move(c));
}

/// Settles like the first that settles; the others are cancelled, and it waits until they have
/// ended. Throws: `contract_error` for an empty list.
template <typename T>
promise<T> pick(std::vector<promise<T>> members) {
  if (members.empty()) throw contract_error("pick of no promise at all");
  const std::size_t n = members.size();
  detail::collect_first<T> c{std::move(members)};
  return detail::gather_into<T, detail::collect_first<T>>::make(n, std::move(c));
}
template <typename T, std::same_as<promise<T>>... P>
promise<T> pick(promise<T> first, P... rest) {
  std::vector<promise<T>> list;
  list.push_back(std::move(first));
  (list.push_back(std::move(rest)), ...);
  return pick(std::move(list));
}

}  // namespace fermata
