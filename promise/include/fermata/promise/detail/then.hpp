// SPDX-License-Identifier: MIT
/// Calling a function with what a promise settled with: the base of bind, map, catch_ and finalize.
///
/// Shape:  a pending result is one object: the state of the result, the node that waits, and the
///         function. On a settled promise the function is called here and now, and what it gives is
///         the result, where nothing of the call must be kept.
/// Thread: loop.
#pragma once

#include <fermata/promise/detail/coroutine.hpp>

#include <optional>

namespace fermata::detail {

/// A callback counts as nested while it runs.
class nested_call {
public:
  nested_call() noexcept : task_(event_loop::current().task()) { ++task_.nesting; }
  nested_call(const nested_call&) = delete;
  nested_call& operator=(const nested_call&) = delete;
  ~nested_call() { --task_.nesting; }

private:
  event_loop::task_state& task_;
};

/// Calls `f` and gives the promise that it returns or throws into.
template <typename Out, typename F, typename... Args>
promise<Out> call_safely(F& f, Args&&... args) {
  try {
    promise<Out> given = f(std::forward<Args>(args)...);
    if (!given) [[unlikely]]
      throw contract_error("a function gave a promise that was moved from");
    return given;
  } catch (...) {
    return rejected<Out>(std::current_exception());
  }
}

template <typename Out, typename F, typename... Args>
promise<Out> call_nested(F& f, Args&&... args) {
  const nested_call guard;
  return call_safely<Out>(f, std::forward<Args>(args)...);
}

/// A promise rejected as `s` is.
template <typename Out>
promise<Out> rejected_as(state_base& s, std::source_location site) {
  auto* out = new state<Out>(alone);
  promise<Out> p = access::adopt(out);
  out->reject(s.error(), rejection_path(site, s.path()));
  return p;
}

/// Calls `f` with the value that the handle holds itself.
template <typename F, typename T>
decltype(auto) give_value(F&& f, const promise<T>& p) {
  if constexpr (std::is_void_v<T>) {
    return f();
  } else {
    return f(access::value_of(p));
  }
}

/// Copies or moves what `from` settled with into `to`.
template <typename T>
inline void settle_like(state<T>& to, const promise<T>& from) {
  if constexpr (own_value<T>::may_be) {
    if (access::holds_value(from)) {
      give_value([&to](auto... value) { to.resolve(value...); }, from);
      return;
    }
  }
  state<T>& s = access::root(from);
  if (s.now() == phase::rejected) {
    to.reject(s.error(), s.path());
    return;
  }
  try {
    if constexpr (std::is_void_v<T>) {
      to.resolve();
    } else {
      to.resolve(take_value(s, 1));
    }
  } catch (...) {
    to.reject(std::current_exception());
  }
}

/// Waits for a promise, calls `f` with it, then waits for the promise that `f` gave: `f` lives
/// until the result has settled.
template <typename In, typename Out, typename F>
class then_node final : public state<Out>, private waiter, private canceller {
public:
  then_node(F&& f, std::source_location site) : site_(site) {
    std::construct_at(&call_, std::move(f));
    this->set_producer(this);
  }

  void wait(state<In>& s) { this->wait_for(s); }
  /// Goes on from the queue with `s`, which has settled.
  void run_later(state<In>& s, bool gives_way) {
    this->take(s);
    event_loop& loop = event_loop::current();
    if (gives_way) {
      loop.give_way(*this);
    } else {
      loop.enqueue(*this);
    }
  }
  /// Calls `f` here and now and gives the result, which is not this where `f`'s has settled.
  promise<Out> run_now(promise<In>&& settled) {
    has_called_ = true;
    promise<Out> inner = call_nested<Out>(call_, std::move(settled));
    if (!inner.is_pending()) {
      end();
      return inner;
    }
    promise<Out> result = access::handle<Out>(this);
    this->wait_for(access::root(inner));
    return result;
  }

private:
  ~then_node() override {}  // `end` has destroyed the function

  void run() noexcept override {
    if (has_left_) {
      finish(rejected<Out>(cancelled()));
    } else if (has_called_) {
      finish(from_upstream<Out>());
    } else {
      has_called_ = true;
      note_site(site_);
      const nested_call guard;
      follow(call_safely<Out>(call_, from_upstream<In>()));
    }
  }
  void drop() noexcept override {
    if (this->count() > 1) this->root().reject(std::make_exception_ptr(broken_promise()));
    end();
  }
  hop describe() const noexcept override { return {site_, this->upstream()}; }

  state_base* request_cancel() noexcept override {
    if (has_left_) return nullptr;
    cancel_requested_ = true;
    return this->is_waiting() ? leave() : nullptr;
  }
  state_base* leave() noexcept {
    state_base* next = cancel_or_leave(*this);
    if (next == nullptr) {
      has_left_ = true;
      event_loop::make_ready(*this);
    }
    return next;
  }

  template <typename T>
  promise<T> from_upstream() {
    return access::adopt(static_cast<state<T>*>(this->give_up()));
  }
  void follow(const promise<Out>& inner) {
    if (!inner.is_pending()) {
      finish(inner);
      return;
    }
    state_base& s = access::root(inner);
    if (s.producer() == this) [[unlikely]] {
      finish(rejected<Out>(waits_for_itself()));
      return;
    }
    this->wait_for(s);
    if (cancel_requested_) cancel_state(leave());
  }
  void finish(const promise<Out>& settled) {
    settle_like(this->typed_root(), settled);
    end();
  }
  // The function ends, and the node with it where nobody holds the result.
  void end() noexcept {
    std::destroy_at(&call_);
    this->leave_context();
    if constexpr (is_plain<Out>) this->needs_no_end(sizeof(then_node));
    this->release();
  }

  union {
    F call_;
  };
  std::source_location site_;
  bool has_called_ = false;
  bool has_left_ = false;
  bool cancel_requested_ = false;
};

/// Queues the call of `f` with `p`, which has settled: behind the next poll where it gives way.
template <typename Out, typename In, typename F>
promise<Out> then_later(promise<In>&& p, F&& f, std::source_location site, bool gives_way) {
  auto* node = new then_node<In, Out, std::decay_t<F>>(std::move(f), site);
  node->run_later(access::root(p), gives_way);
  return access::handle<Out>(node);
}

/// The promise of what `f(settled p) -> promise<Out>` gives.
template <typename Out, typename In, typename F>
promise<Out> then(promise<In> p,
                  F&& f,
                  std::source_location site = std::source_location::current()) {
  static_assert(!std::is_reference_v<F>, "the function is moved");
  state<In>& s = access::root(p);
  if (s.is_pending()) {
    auto* node = new then_node<In, Out, std::decay_t<F>>(std::move(f), site);
    node->wait(s);
    return access::handle<Out>(node);
  }
  const bool gives_way = due(default_cost, site);
  if (gives_way || event_loop::current().task().nesting >= nesting_limit) {
    return then_later<Out>(std::move(p), std::move(f), site, gives_way);
  }
  return (new then_node<In, Out, std::decay_t<F>>(std::move(f), site))->run_now(std::move(p));
}

/// Gives a value to a callback, by reference into the promise where nobody else sees it, else as a
/// copy; promise or copy live as long as this object.
template <typename T>
class kept_value {
public:
  /// Whether the value is not moved when this is.
  static bool stays_in_place(state<T>& s) noexcept { return s.count() == 1; }
  template <typename F>
  decltype(auto) give_to(F& f, promise<T>&& p) {
    promise_ = std::move(p);
    if constexpr (own_value<T>::may_be) {
      if (access::holds_value(promise_)) {
        copy_.emplace(access::value_of(promise_));
        return f(std::move(*copy_));
      }
    }
    state<T>& s = access::root(promise_);
    if (s.count() == 1) return f(std::move(s.value()));
    copy_.emplace(take_value(s, 1));
    return f(std::move(*copy_));
  }

private:
  promise<T> promise_;
  std::optional<T> copy_;
};
template <>
class kept_value<void> {
public:
  static bool stays_in_place(state<void>&) noexcept { return true; }
  template <typename F>
  decltype(auto) give_to(F& f, promise<>&& p) {
    const promise<> taken(std::move(p));
    return f();
  }
};

/// The same as a constant, shared.
template <typename T>
class kept_reference {
public:
  static bool stays_in_place(state<T>&) noexcept { return true; }
  template <typename F>
  decltype(auto) give_to(F& f, promise<T>&& p) {
    promise_ = std::move(p);
    if constexpr (std::is_void_v<T>) {
      return f();
    } else {
      return f(std::as_const(access::root(promise_).value()));
    }
  }

private:
  promise<T> promise_;
};

/// How a bind or map on a promise that has resolved goes on.
enum class way : std::uint8_t { calls_now, calls_later, gives_way };

inline way way_of_resolved(std::source_location site) {
  if (due(default_cost, site)) return way::gives_way;
  return event_loop::current().task().nesting < nesting_limit ? way::calls_now : way::calls_later;
}

/// Whether a function that is no template takes its argument by value, so that nothing of the call
/// need be kept for what it starts.
template <typename M>
struct by_value : std::false_type {};
template <typename R, typename C, typename... A>
struct by_value<R (C::*)(A...)> : std::bool_constant<(... && !std::is_reference_v<A>)> {};
template <typename R, typename C, typename... A>
struct by_value<R (C::*)(A...) const> : by_value<R (C::*)(A...)> {};
template <typename F>
concept takes_by_value = requires {
  requires by_value<decltype(&F::operator())>::value;
};

/// A promise of what `f` gives, which may be nothing.
template <typename Out, typename F>
promise<Out> ready_from(F&& f) {
  if constexpr (std::is_void_v<Out>) {
    f();
    return ready();
  } else {
    return ready<Out>(f());
  }
}

/// Keeps what a callback has got until the promise that it gave has settled.
template <typename Kept, typename T>
void keep_with(promise<T>& p, Kept&& kept, std::source_location site) {
  if constexpr (std::is_same_v<Kept, kept_value<void>> ||
                std::is_same_v<Kept, kept_reference<void>>) {
    if (access::root(p).is_private()) return;
  }
  auto pass = [held = std::move(kept)](promise<T>&& settled) { return std::move(settled); };
  p = then<T>(std::move(p), std::move(pass), site);
}

/// Calls `f`, which has nothing that must live on, without a node. What it gives is the result;
/// where that is pending, the value that `f` got is kept with it.
template <typename Out, typename Kept, typename T, typename F>
promise<Out> bind_now(promise<T>&& p, F& f, std::source_location site) {
  Kept kept;
  auto call = [&] { return kept.give_to(f, std::move(p)); };
  promise<Out> r = call_nested<Out>(call);
  if (r.is_pending()) [[unlikely]]
    keep_with(r, std::move(kept), site);
  return r;
}

/// Whether `f` may be called with a value that the handle holds and nothing more be kept.
template <typename T, typename F>
inline constexpr bool needs_no_keeping = own_value<T>::may_be&& takes_by_value<F>;

template <typename Kept, typename T, typename F>
auto bind_with(promise<T>&& p, F& f, std::source_location site) {
  using result = decltype(std::declval<Kept&>().give_to(f, std::move(p)));
  using out = promised_t<result>;
  auto make_call = [&] {
    return [g = std::move(f), kept = Kept(), site](promise<T>&& settled) mutable -> result {
      if (settled.is_rejected()) return rejected_as<out>(access::root(settled), site);
      return kept.give_to(g, std::move(settled));
    };
  };
  if constexpr (std::is_empty_v<F>) {
    const bool needs_no_state = needs_no_keeping<T, F> && access::holds_value(p);
    if (needs_no_state || (p.is_resolved() && Kept::stays_in_place(access::root(p)))) {
      const way w = way_of_resolved(site);
      if (w != way::calls_now) {
        return then_later<out>(std::move(p), make_call(), site, w == way::gives_way);
      }
      if constexpr (needs_no_keeping<T, F>) {
        auto call = [&] { return give_value(f, p); };
        if (needs_no_state) return call_nested<out>(call);
      }
      return bind_now<out, Kept>(std::move(p), f, site);
    }
  }
  return then<out>(std::move(p), make_call(), site);
}

template <typename Kept, typename T, typename F>
auto map_with(promise<T>&& p, F& f, std::source_location site) {
  using out = std::decay_t<decltype(std::declval<Kept&>().give_to(f, std::move(p)))>;
  auto call = [g = std::move(f), kept = Kept(),
               site](promise<T>&& settled) mutable -> promise<out> {
    if (settled.is_rejected()) return rejected_as<out>(access::root(settled), site);
    return ready_from<out>([&]() -> decltype(auto) { return kept.give_to(g, std::move(settled)); });
  };
  if (!p.is_resolved()) return then<out>(std::move(p), std::move(call), site);
  const way w = way_of_resolved(site);
  if (w != way::calls_now) {
    return then_later<out>(std::move(p), std::move(call), site, w == way::gives_way);
  }
  return call_nested<out>(call, std::move(p));
}

}  // namespace fermata::detail

#include <fermata/promise/detail/members.hpp>  // here, so that each header compiles alone
