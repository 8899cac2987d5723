// SPDX-License-Identifier: MIT
/// The usual loops over many things, with functions that return promises.
///
/// Shape:    `list::map(items, f, at_most(n))` and its kin call `f` for the items in order, at most
///           n at once: one by default, all of them only where `at_most::all` says so. Results come
///           in the order of the items. A container is moved or copied in and its items are handed
///           to `f` as rvalues; a view is read where it is. Predicates get const references. The
///           first failure cancels what runs and starts nothing more; the result settles after all
///           that was started has ended. So does an answer that makes the rest needless.
/// Pauses:   may, after each item, and while many items are let go.
/// Thread:   loop.
/// Rejects:  with what `f` throws or its promise rejects with (`multiple_errors` for several),
///           `cancelled`.
/// Cost:     with settled promises no wait and no stack; one coroutine for each of the n.
/// Lifetime: items and `f` live until the result has settled; what a view shows must, too.
#pragma once

#include <fermata/promise/pause.hpp>
#include <fermata/promise/scope.hpp>

#include <concepts>
#include <cstddef>
#include <deque>
#include <limits>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace fermata::list {

/// How many items may be under way at once.
class at_most {
public:
  /// Throws: `contract_error` for 0.
  explicit constexpr at_most(std::size_t n) : count_(n) {
    if (n == 0) throw contract_error("at most 0 at once would never begin");
  }
  [[nodiscard]] constexpr std::size_t count() const noexcept { return count_; }
  static const at_most all;

private:
  std::size_t count_;
};
inline constexpr at_most at_most::all{std::numeric_limits<std::size_t>::max()};

namespace detail {

using fermata::detail::promised_t;

/// An item as `f` gets it: moved out of a container that is ours, else what the view shows.
template <typename R>
decltype(auto) handed(std::ranges::iterator_t<R>& it) {
  if constexpr (std::ranges::view<R>) {
    return *it;
  } else {
    return std::ranges::iter_move(it);
  }
}
/// An item as a predicate gets it.
template <typename R>
decltype(auto) shown(std::ranges::iterator_t<R>& it) {
  if constexpr (std::is_lvalue_reference_v<std::ranges::range_reference_t<R>>) {
    return std::as_const(*it);
  } else {
    return *it;
  }
}
template <typename R>
using handed_t = decltype(handed<R>(std::declval<std::ranges::iterator_t<R>&>()));
template <typename R>
using shown_t = decltype(shown<R>(std::declval<std::ranges::iterator_t<R>&>()));

/// The place that all workers of one loop go on from.
template <typename R>
class cursor {
public:
  explicit cursor(R& items) : at_(std::ranges::begin(items)), end_(std::ranges::end(items)) {}
  [[nodiscard]] bool has_more() const { return !is_over_ && at_ != end_; }
  [[nodiscard]] std::size_t index() const noexcept { return index_; }
  std::ranges::iterator_t<R> take() {
    ++index_;
    return at_++;
  }
  /// The rest is needless.
  void finish() noexcept { is_over_ = true; }
  [[nodiscard]] bool is_over() const noexcept { return is_over_; }

private:
  std::ranges::iterator_t<R> at_;
  std::ranges::sentinel_t<R> end_;
  std::size_t index_ = 0;
  bool is_over_ = false;
};

/// `Task` has `start(iterator&) -> promise<U>` and `took(index, iterator, U) -> bool`: whether the
/// rest is needless. An item's `cancelled` ends the workers beside, as where this is alone.
template <typename R, typename Task>
promise<> work(cursor<R>& at, Task& task, scope* s) {
  try {
    while (at.has_more()) {
      const std::size_t i = at.index();
      auto it = at.take();
      auto started = task.start(it);
      bool is_enough = false;
      if constexpr (std::is_void_v<promised_t<decltype(started)>>) {
        co_await started;
      } else {
        auto value = co_await std::move(started);
        is_enough = task.took(i, it, std::move(value));
      }
      if (is_enough) {
        at.finish();
        if (s != nullptr) s->cancel("the rest is needless");
      }
      co_await maybe_pause();
    }
  } catch (const cancelled& c) {
    if (s != nullptr) s->cancel(c.reason());
    throw;
  }
}

template <typename R, typename Task>
promise<> start_workers(scope& s, cursor<R>& at, Task& task, std::size_t most) {
  for (std::size_t n = 0; n < most && at.has_more(); ++n) {
    s.fork([&s, &at, &task] { return work<R>(at, task, &s); });
    co_await maybe_pause();
  }
}

/// Runs `task` over the items until it has enough.
template <typename R, typename Task>
promise<> run(R& items, Task& task, at_most n) {
  cursor<R> at(items);
  if (n.count() == 1) {
    auto one = work<R>(at, task, nullptr);
    co_await one;
    co_return;
  }
  const auto body = [&at, &task, n](scope& s) { return start_workers<R>(s, at, task, n.count()); };
  auto workers = scope::run(body);
  try {
    co_await workers;
  } catch (const cancelled&) {
    if (!at.is_over()) throw;
  }
}

/// Lets many items go in bounded steps.
template <typename R>
promise<> let_go(R& items) {
  if constexpr (requires { items.pop_back(); } &&
                !std::is_trivially_destructible_v<std::ranges::range_value_t<R>>) {
    while (!std::ranges::empty(items)) {
      items.pop_back();
      co_await maybe_pause();
    }
  }
  co_return;
}

template <typename R, typename F>
struct calls {
  F& f;
  auto start(std::ranges::iterator_t<R>& it) { return f(handed<R>(it)); }
};
template <typename R, typename P>
struct asks {
  P& predicate;
  auto start(std::ranges::iterator_t<R>& it) { return predicate(shown<R>(it)); }
};

template <typename R, typename F>
struct iterates : calls<R, F> {};

template <typename R, typename F, typename U>
struct maps : calls<R, F> {
  std::deque<std::optional<U>> slots;  // one for each that was started: no step makes many
  std::size_t present = 0;             // where U may be nothing
  auto start(std::ranges::iterator_t<R>& it) {
    slots.emplace_back();
    return calls<R, F>::start(it);
  }
  bool took(std::size_t i, std::ranges::iterator_t<R>&, U value) {
    if constexpr (requires { value.has_value(); }) present += value.has_value() ? 1 : 0;
    slots[i].emplace(std::move(value));
    return false;
  }
};

template <typename R, typename P>
struct filters : asks<R, P> {
  std::deque<bool> keeps;  // one for each that was started
  std::size_t kept = 0;
  auto start(std::ranges::iterator_t<R>& it) {
    keeps.push_back(false);
    return asks<R, P>::start(it);
  }
  bool took(std::size_t i, std::ranges::iterator_t<R>&, bool yes) {
    kept += yes ? 1 : 0;
    keeps[i] = yes;
    return false;
  }
};

/// Over as soon as the answer is `Wanted` for one.
template <typename R, typename P, bool Wanted>
struct decides : asks<R, P> {
  bool was_found = false;
  bool took(std::size_t, std::ranges::iterator_t<R>&, bool yes) {
    was_found = was_found || yes == Wanted;
    return was_found;
  }
};

/// The first in order: an answer counts when those before it have come.
template <typename R, typename P>
struct finds : asks<R, P> {
  enum class answer : char { none, no, yes };
  std::deque<std::pair<answer, std::ranges::iterator_t<R>>> answers;  // from the index `known` on
  std::size_t known = 0;
  std::optional<std::ranges::iterator_t<R>> found;

  auto start(std::ranges::iterator_t<R>& it) {
    answers.emplace_back(answer::none, it);
    return asks<R, P>::start(it);
  }
  bool took(std::size_t i, std::ranges::iterator_t<R>&, bool yes) {
    answers[i - known].first = yes ? answer::yes : answer::no;
    while (!answers.empty() && answers.front().first == answer::no) {
      answers.pop_front();
      ++known;
    }
    if (answers.empty() || answers.front().first == answer::none) return false;
    found = answers.front().second;
    return true;
  }
};

}  // namespace detail

/// Calls `f(item) -> promise<>`.
template <std::ranges::forward_range R, typename F>
promise<> iter(R items, F f, at_most n = at_most(1)) {
  detail::iterates<R, F> task{{f}};
  auto all = detail::run(items, task, n);
  co_await all;
  auto end = detail::let_go(items);
  co_await end;
}

/// What `f(item) -> promise<U>` gives for each.
template <std::ranges::forward_range R, typename F>
auto map(R items, F f, at_most n = at_most(1))
    -> promise<std::vector<detail::promised_t<std::invoke_result_t<F&, detail::handed_t<R>>>>> {
  using value = detail::promised_t<std::invoke_result_t<F&, detail::handed_t<R>>>;
  detail::maps<R, F, value> task{{f}, {}, 0};
  auto all = detail::run(items, task, n);
  co_await all;
  std::vector<value> values;
  values.reserve(task.slots.size());
  while (!task.slots.empty()) {
    values.push_back(std::move(*task.slots.front()));
    task.slots.pop_front();
    co_await maybe_pause();
  }
  auto end = detail::let_go(items);
  co_await end;
  co_return values;
}

/// What `f(item) -> promise<std::optional<U>>` gives where it gives something.
template <std::ranges::forward_range R, typename F>
auto filter_map(R items, F f, at_most n = at_most(1)) -> promise<std::vector<
    typename detail::promised_t<std::invoke_result_t<F&, detail::handed_t<R>>>::value_type>> {
  using maybe = detail::promised_t<std::invoke_result_t<F&, detail::handed_t<R>>>;
  detail::maps<R, F, maybe> task{{f}, {}, 0};
  auto all = detail::run(items, task, n);
  co_await all;
  std::vector<typename maybe::value_type> values;
  values.reserve(task.present);
  while (!task.slots.empty()) {
    maybe& value = *task.slots.front();
    if (value) values.push_back(std::move(*value));
    task.slots.pop_front();
    co_await maybe_pause();
  }
  auto end = detail::let_go(items);
  co_await end;
  co_return values;
}

/// The items for which `p(item) -> promise<bool>` says yes.
template <std::ranges::forward_range R, typename P>
promise<std::vector<std::ranges::range_value_t<R>>> filter(R items, P p, at_most n = at_most(1)) {
  detail::filters<R, P> task{{p}, {}, 0};
  auto all = detail::run(items, task, n);
  co_await all;
  std::vector<std::ranges::range_value_t<R>> kept;
  kept.reserve(task.kept);
  auto it = std::ranges::begin(items);
  for (const bool keeps : task.keeps) {
    if (keeps) kept.push_back(detail::handed<R>(it));
    ++it;
    co_await maybe_pause();
  }
  auto end = detail::let_go(items);
  co_await end;
  co_return kept;
}

/// The first item in order for which `p(item) -> promise<bool>` says yes; nothing where none does.
template <std::ranges::forward_range R, typename P>
promise<std::optional<std::ranges::range_value_t<R>>> find(R items, P p, at_most n = at_most(1)) {
  detail::finds<R, P> task{{p}, {}, 0, {}};
  auto all = detail::run(items, task, n);
  co_await all;
  std::optional<std::ranges::range_value_t<R>> found;
  if (task.found) found.emplace(detail::handed<R>(*task.found));
  auto end = detail::let_go(items);
  co_await end;
  co_return found;
}

/// Whether `p(item) -> promise<bool>` says yes for one; false for no items.
template <std::ranges::forward_range R, typename P>
promise<bool> exists(R items, P p, at_most n = at_most(1)) {
  detail::decides<R, P, true> task{{p}, false};
  auto all = detail::run(items, task, n);
  co_await all;
  auto end = detail::let_go(items);
  co_await end;
  co_return task.was_found;
}

/// Whether it says yes for all; true for no items.
template <std::ranges::forward_range R, typename P>
promise<bool> for_all(R items, P p, at_most n = at_most(1)) {
  detail::decides<R, P, false> task{{p}, false};
  auto all = detail::run(items, task, n);
  co_await all;
  auto end = detail::let_go(items);
  co_await end;
  co_return !task.was_found;
}

/// `f(f(f(initial, first), second), ...)`, each when the one before has come; `f` gives a promise.
template <std::ranges::forward_range R, typename A, typename F>
promise<A> fold(R items, A initial, F f) {
  A sum = std::move(initial);
  auto end = std::ranges::end(items);
  for (auto it = std::ranges::begin(items); it != end; ++it) {
    auto step = f(std::move(sum), detail::handed<R>(it));
    A next = co_await std::move(step);
    sum = std::move(next);
    co_await maybe_pause();
  }
  auto gone = detail::let_go(items);
  co_await gone;
  co_return sum;
}

}  // namespace fermata::list
