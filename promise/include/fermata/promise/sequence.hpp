// SPDX-License-Identifier: MIT
/// Sequences of items that come one after another: made, changed and consumed.
///
/// Shape:    a sequence is an `async_generator`; each function takes it over and pulls an item only
///           when one is asked of it. `sequence::from` makes one of a range or a channel (so a
///           channel is the sequence that others push to), `for_each`, `fold`, `to_vector` and
///           `send_to` consume one. A callable may give a value or a promise of it.
/// Order:    kept, but for `merge`, and `for_each` of several at once.
/// Pauses:   every item checks the slice.
/// Thread:   loop.
/// Rejects:  with what a source or a callable throws: it passes through to the consumer, and the
///           sequence is over. A cancel goes on to what the source waits for.
/// Cost:     a coroutine a stage; no allocation an item but what `merge`, `chunks` and several at
///           once need.
/// Lifetime: callables live until their sequence or promise has ended.
#pragma once

#include <fermata/promise/channel.hpp>
#include <fermata/promise/generator.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/semaphore.hpp>

#include <concepts>
#include <cstddef>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace fermata::sequence {

namespace detail {

/// What calling `F` gives once a promise has been awaited.
template <typename F, typename... Args>
struct given {
  using type = std::invoke_result_t<F&, Args...>;
  static constexpr bool is_promise = fermata::detail::any_promise<type>;
};
template <typename T>
struct unwrapped {
  using type = std::decay_t<T>;
};
template <typename T>
struct unwrapped<promise<T>> {
  using type = T;
};
template <typename F, typename... Args>
using given_t = typename unwrapped<std::invoke_result_t<F&, Args...>>::type;

/// Calls `f` and gives a promise in any case.
template <typename F, typename... Args>
promise<given_t<F, Args...>> call(F& f, Args&&... args) {
  if constexpr (given<F, Args...>::is_promise) {
    return f(std::forward<Args>(args)...);
  } else if constexpr (std::is_void_v<given_t<F, Args...>>) {
    f(std::forward<Args>(args)...);
    return ready();
  } else {
    return ready<given_t<F, Args...>>(f(std::forward<Args>(args)...));
  }
}

void check_at_once(std::size_t n);
void check_chunk(std::size_t n);
[[noreturn]] void too_long(std::size_t limit);

/// What `merge` runs beside itself. Where the sequence is dropped they are cancelled.
class pumps {
public:
  pumps() = default;
  pumps(const pumps&) = delete;
  pumps& operator=(const pumps&) = delete;
  ~pumps() { cancel(); }
  void add(promise<> p) { running_.push_back(std::move(p)); }
  void cancel() noexcept {
    for (const promise<>& p : running_) fermata::cancel(p);
  }
  [[nodiscard]] promise<> ended();

private:
  std::vector<promise<>> running_;
};

template <typename T>
promise<> pump(async_generator<T> in, channel_writer<T> out) {
  try {
    for (;;) {
      std::optional<T> item = co_await in.next();
      if (!item) co_return;
      co_await out.send(std::move(*item));
    }
  } catch (...) {  // `cancelled` too: what ends early is no whole sequence
    out.fail(std::current_exception());
  }
}

/// One item. In `cancelled` it ends the others too, as it would where one ran at once.
template <typename T, typename F>
promise<> handle(scope& s, F& f, T item, [[maybe_unused]] semaphore::units place) {
  try {
    auto p = call(f, std::move(item));
    co_await p;
  } catch (const cancelled& c) {
    s.cancel(c.reason());
    throw;
  }
}

template <typename T, typename F>
promise<> feed(scope& s, async_generator<T>& in, F& f, semaphore& places) {
  for (;;) {
    semaphore::units place = co_await places.acquire();
    std::optional<T> item = co_await in.next();
    if (!item) co_return;
    s.fork([&s, &f, x = std::move(*item), held = std::move(place)]() mutable {
      return handle(s, f, std::move(x), std::move(held));
    });
    if (s.is_cancelled()) co_return;
  }
}

}  // namespace detail

// ---- sources ----

/// The items of a range, which it takes over.
template <std::ranges::input_range R>
requires(!std::is_reference_v<R>) async_generator<std::ranges::range_value_t<R>> from(R range) {
  for (auto&& item : range) {
    co_yield std::move(item);
  }
}

/// What comes through a channel.
template <typename T>
async_generator<T> from(channel_reader<T> in) {
  for (;;) {
    std::optional<T> item = co_await in.receive();
    if (!item) co_return;
    co_yield std::move(*item);
  }
}

// ---- stages ----

/// `f(item)` for each item.
template <typename T, typename F>
auto map(async_generator<T> in, F f) -> async_generator<detail::given_t<F, T>> {
  for (;;) {
    std::optional<T> item = co_await in.next();
    if (!item) co_return;
    if constexpr (detail::given<F, T>::is_promise) {
      auto p = f(std::move(*item));
      auto result = co_await std::move(p);
      co_yield std::move(result);
    } else {
      co_yield f(std::move(*item));
    }
  }
}

/// The items for which `pred(const T&)` says yes.
template <typename T, typename Pred>
async_generator<T> filter(async_generator<T> in, Pred pred) {
  for (;;) {
    std::optional<T> item = co_await in.next();
    if (!item) co_return;
    bool is_in = false;
    if constexpr (detail::given<Pred, const T&>::is_promise) {
      auto p = pred(std::as_const(*item));
      is_in = co_await std::move(p);
    } else {
      is_in = pred(std::as_const(*item));
    }
    if (is_in) co_yield std::move(*item);
  }
}

/// The first `n` items. The source is asked for no more.
template <typename T>
async_generator<T> take(async_generator<T> in, std::size_t n) {
  for (; n > 0; --n) {
    std::optional<T> item = co_await in.next();
    if (!item) co_return;
    co_yield std::move(*item);
  }
}

/// All but the first `n` items.
template <typename T>
async_generator<T> skip(async_generator<T> in, std::size_t n) {
  for (;;) {
    std::optional<T> item = co_await in.next();
    if (!item) co_return;
    if (n > 0) {
      --n;
      continue;
    }
    co_yield std::move(*item);
  }
}

/// The items before the first for which `pred(const T&)` says no.
template <typename T, std::predicate<const T&> Pred>
async_generator<T> take_while(async_generator<T> in, Pred pred) {
  for (;;) {
    std::optional<T> item = co_await in.next();
    if (!item || !pred(std::as_const(*item))) co_return;
    co_yield std::move(*item);
  }
}

/// The items from the first on for which `pred(const T&)` says no.
template <typename T, std::predicate<const T&> Pred>
async_generator<T> skip_while(async_generator<T> in, Pred pred) {
  bool is_skipping = true;
  for (;;) {
    std::optional<T> item = co_await in.next();
    if (!item) co_return;
    is_skipping = is_skipping && pred(std::as_const(*item));
    if (!is_skipping) co_yield std::move(*item);
  }
}

/// The items in lists of `n`, the last of which may be shorter. Rejects: `contract_error` for 0.
template <typename T>
async_generator<std::vector<T>> chunks(async_generator<T> in, std::size_t n) {
  detail::check_chunk(n);
  std::vector<T> chunk;
  for (;;) {
    std::optional<T> item = co_await in.next();
    if (!item) break;
    chunk.push_back(std::move(*item));
    if (chunk.size() < n) continue;
    co_yield std::exchange(chunk, std::vector<T>());
  }
  if (!chunk.empty()) co_yield std::move(chunk);
}

/// Pairs of the items of both, as long as both last.
template <typename A, typename B>
async_generator<std::pair<A, B>> zip(async_generator<A> a, async_generator<B> b) {
  for (;;) {
    std::optional<A> first = co_await a.next();
    if (!first) co_return;
    std::optional<B> second = co_await b.next();
    if (!second) co_return;
    co_yield std::pair<A, B>(std::move(*first), std::move(*second));
  }
}

/// The items of the sequences that `f(item)` gives, one sequence after another.
template <typename T, typename F>
auto flat_map(async_generator<T> in, F f) -> std::invoke_result_t<F&, T> {
  for (;;) {
    std::optional<T> item = co_await in.next();
    if (!item) co_return;
    auto inner = f(std::move(*item));
    for (;;) {
      auto part = co_await inner.next();
      if (!part) break;
      co_yield std::move(*part);
    }
  }
}

/// One sequence after another.
template <typename T>
async_generator<T> concat(std::vector<async_generator<T>> sources) {
  for (std::size_t i = 0; i < sources.size(); ++i) {
    for (;;) {
      std::optional<T> item = co_await sources[i].next();
      if (!item) break;
      co_yield std::move(*item);
    }
  }
}

/// The items of all as they come; each source is one item ahead at most. The first failure ends it,
/// and so does a source that ends in `cancelled`.
template <typename T>
async_generator<T> merge(std::vector<async_generator<T>> sources) {
  channel<T> items(0);
  detail::pumps running;
  for (async_generator<T>& s : sources) running.add(detail::pump(std::move(s), items.writer));
  items.writer = channel_writer<T>();
  std::exception_ptr failure;
  try {
    for (;;) {
      std::optional<T> item = co_await items.reader.receive();
      if (!item) break;
      co_yield std::move(*item);
    }
  } catch (...) {
    failure = std::current_exception();
  }
  items.reader = channel_reader<T>();
  running.cancel();
  promise<> over = running.ended();
  co_await over;
  if (failure) std::rethrow_exception(failure);
}

// ---- consumers ----

/// Calls `f(item)` for each item; where it gives promises at most `at_once` of them run at once,
/// and the first failure or cancel cancels the others. Rejects: `contract_error` for 0 at once;
/// `cancelled` where an item was not handled to its end because of a cancel.
template <typename T, typename F>
promise<> for_each(async_generator<T> in, F f, std::size_t at_once = 1) {
  detail::check_at_once(at_once);
  if constexpr (detail::given<F, T>::is_promise) {
    if (at_once > 1) {
      semaphore places(at_once);
      promise<> all =
          scope::run([&in, &f, &places](scope& s) { return detail::feed(s, in, f, places); });
      co_await all;
      co_return;
    }
  }
  for (;;) {
    std::optional<T> item = co_await in.next();
    if (!item) co_return;
    if constexpr (detail::given<F, T>::is_promise) {
      auto p = f(std::move(*item));
      co_await p;
    } else {
      f(std::move(*item));
    }
  }
}

/// `f(f(f(first, a), b), c)`.
template <typename T, typename A, typename F>
promise<A> fold(async_generator<T> in, A first, F f) {
  A sum = std::move(first);
  for (;;) {
    std::optional<T> item = co_await in.next();
    if (!item) co_return sum;
    if constexpr (detail::given<F, A, T>::is_promise) {
      auto p = f(std::move(sum), std::move(*item));
      sum = co_await std::move(p);
    } else {
      sum = f(std::move(sum), std::move(*item));
    }
  }
}

/// All items. Rejects: `error` where there are more than `limit`.
template <typename T>
promise<std::vector<T>> to_vector(async_generator<T> in, std::size_t limit) {
  std::vector<T> all;
  for (;;) {
    std::optional<T> item = co_await in.next();
    if (!item) co_return all;
    if (all.size() == limit) detail::too_long(limit);
    all.push_back(std::move(*item));
  }
}

/// Pushes every item into a channel, which ends with the sequence. Its failure goes to the
/// readers, and so does `cancelled`, whether the source or this ends so.
/// Rejects: `channel_closed` where nobody receives any more; `cancelled`.
template <typename T>
promise<> send_to(async_generator<T> in, channel_writer<T> out) {
  try {
    for (;;) {
      std::optional<T> item;
      try {
        item = co_await in.next();
      } catch (const cancelled&) {
        throw;
      } catch (...) {
        out.fail(std::current_exception());
      }
      if (!item) co_return;
      co_await out.send(std::move(*item));
    }
  } catch (const cancelled&) {
    out.fail(std::current_exception());
    throw;
  }
}

}  // namespace fermata::sequence
