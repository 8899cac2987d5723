// SPDX-License-Identifier: MIT
/// The members of `promise` and the functions that make promises: see promise.hpp.
///
/// Thread: loop.
#pragma once

#include <fermata/promise/detail/coroutine.hpp>

namespace fermata::detail {

/// Calls `f` with a settled promise and gives the promise that it returns or throws into.
template <typename Out, typename In, typename F>
promise<Out> call_with_settled(F& f, promise<In> settled) {
  try {
    return f(std::move(settled));
  } catch (...) {
    return rejected<Out>(std::current_exception());
  }
}

/// Copies or moves what `from` settled with into `to`.
template <typename T>
void settle_like(state<T>& to, promise<T> from) {
  state<T>& s = access::root(from);
  if (s.now() == phase::rejected) {
    to.reject(s.error());
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
class then_node final : public waiter, public canceller {
public:
  then_node(F&& f, state<Out>* out) : call_(std::move(f)), out_(out) { out_->set_producer(this); }
  ~then_node() {
    if (out_ == nullptr) return;
    if (out_->count() > 1) out_->root().reject(std::make_exception_ptr(broken_promise()));
    out_->release();
  }

  void start(state<In>& s) {
    if (s.is_pending()) {
      wait_for(s);
    } else {
      take(s);
    }
  }
  /// Calls `f` here and now.
  void run() noexcept override {
    if (has_left_) {
      finish(rejected<Out>(cancelled()));
    } else if (has_called_) {
      finish(from_upstream<Out>());
    } else {
      has_called_ = true;
      nested guard;
      follow(call_with_settled<Out>(call_, from_upstream<In>()));
    }
  }
  void drop() noexcept override { delete this; }

  state_base* request_cancel() noexcept override {
    if (!is_waiting()) {
      cancel_requested_ = true;
      return nullptr;
    }
    state_base* next = cancel_or_leave(*this);
    if (next == nullptr) {
      has_left_ = true;
      event_loop::make_ready(*this);
    }
    return next;
  }

private:
  struct nested {
    nested() : task(event_loop::current().task()) { ++task.nesting; }
    ~nested() { --task.nesting; }
    event_loop::task_state& task;
  };

  template <typename T>
  promise<T> from_upstream() {
    promise<T> p = access::handle(static_cast<state<T>*>(upstream()));
    let_go();
    return p;
  }
  void follow(promise<Out> inner) {
    if (!inner.is_pending()) {
      finish(std::move(inner));
      return;
    }
    wait_for(access::root(inner));
    if (std::exchange(cancel_requested_, false)) cancel_state(request_cancel());
  }
  void finish(promise<Out> settled) {
    settle_like(out_->typed_root(), std::move(settled));
    std::exchange(out_, nullptr)->release();
    delete this;
  }

  F call_;
  state<Out>* out_;
  bool has_called_ = false;
  bool has_left_ = false;
  bool cancel_requested_ = false;
};

/// The promise of what `f(settled p) -> promise<Out>` gives.
template <typename Out, typename In, typename F>
promise<Out> then(promise<In> p, F f) {
  auto* out = new state<Out>;
  promise<Out> result = access::handle(out);
  auto* node = new then_node<In, Out, F>(std::move(f), out);
  event_loop& loop = event_loop::current();
  state<In>& s = access::root(p);
  node->start(s);
  if (s.is_pending()) return result;
  p = {};  // so that the node's is the last handle
  if (due()) {
    loop.give_way(*node);
  } else if (loop.task().nesting >= nesting_limit) {
    loop.enqueue(*node);
  } else {
    node->run();
  }
  return result;
}

/// Calls a function with the value of a resolved promise, which then lives as long as this object.
template <typename T>
class kept_value {
public:
  template <typename F>
  decltype(auto) give_to(F& f, promise<T>&& p) {
    value_.emplace(take_value(access::root(p), 1));
    return f(std::move(*value_));
  }

private:
  std::optional<T> value_;
};
template <>
class kept_value<void> {
public:
  template <typename F>
  decltype(auto) give_to(F& f, promise<>&&) {
    return f();
  }
};

/// The same by reference into the promise.
template <typename T>
class kept_reference {
public:
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

template <typename Kept, typename T, typename F>
auto bind_with(promise<T> p, F f) {
  using result = decltype(std::declval<Kept&>().give_to(f, std::move(p)));
  using out = promised_t<result>;
  return then<out>(std::move(p),
                   [g = std::move(f), kept = Kept()](promise<T> settled) mutable -> result {
                     if (settled.is_rejected()) return rejected<out>(settled.error());
                     return kept.give_to(g, std::move(settled));
                   });
}

template <typename Kept, typename T, typename F>
auto map_with(promise<T> p, F f) {
  using out = std::decay_t<decltype(std::declval<Kept&>().give_to(f, std::move(p)))>;
  return then<out>(std::move(p),
                   [g = std::move(f), kept = Kept()](promise<T> settled) mutable -> promise<out> {
                     if (settled.is_rejected()) return rejected<out>(settled.error());
                     if constexpr (std::is_void_v<out>) {
                       kept.give_to(g, std::move(settled));
                       return ready();
                     } else {
                       return ready<out>(kept.give_to(g, std::move(settled)));
                     }
                   });
}

}  // namespace fermata::detail

namespace fermata {

// ---- making promises ----

template <typename T>
promise_and_resolver<T> make_promise() {
  return make_task<T>(nullptr);
}

template <typename T>
promise_and_resolver<T> make_task(unique_function<void()> on_cancel) {
  detail::state<T>* s = new detail::leaf_state<T>(std::move(on_cancel));
  return {detail::access::handle(s), detail::access::end(s)};
}

template <typename T>
promise<std::decay_t<T>> ready(T&& value) {
  auto* s = new detail::state<std::decay_t<T>>;
  promise<std::decay_t<T>> p = detail::access::handle(s);
  s->release();
  s->resolve(std::forward<T>(value));
  return p;
}

inline promise<> ready() {
  auto* s = new detail::state<void>;
  promise<> p = detail::access::handle(s);
  s->release();
  s->resolve();
  return p;
}

template <typename T>
promise<T> rejected(std::exception_ptr e) {
  auto* s = new detail::state<T>;
  promise<T> p = detail::access::handle(s);
  s->release();
  s->reject(std::move(e));
  return p;
}

template <typename T>
promise<T> never() {
  auto* s = new detail::leaf_state<T>();
  s->keep();
  promise<T> p = detail::access::handle<T>(s);
  s->release();
  return p;
}

template <typename T>
void cancel(const promise<T>& p) {
  detail::cancel_state(&detail::access::root(p));
}

// ---- members ----

template <typename T>
T promise<T>::get() && {
  detail::state<T>& s = root();
  if (s.is_pending()) throw contract_error("the value of a pending promise is asked for");
  if (s.now() == detail::phase::rejected) std::rethrow_exception(s.error());
  if constexpr (!std::is_void_v<T>) return detail::take_value(s, 1);
}

template <typename T>
template <typename F>
auto promise<T>::bind(F f) const& -> detail::called_with_t<F, detail::read_t<T>> {
  return detail::bind_with<detail::kept_reference<T>>(*this, std::move(f));
}

template <typename T>
template <typename F>
auto promise<T>::bind(F f) && -> detail::called_with_t<F, T> {
  return detail::bind_with<detail::kept_value<T>>(std::move(*this), std::move(f));
}

template <typename T>
template <typename F>
auto promise<T>::map(
    F f) const& -> promise<std::decay_t<detail::called_with_t<F, detail::read_t<T>>>> {
  return detail::map_with<detail::kept_reference<T>>(*this, std::move(f));
}

template <typename T>
template <typename F>
auto promise<T>::map(F f) && -> promise<std::decay_t<detail::called_with_t<F, T>>> {
  return detail::map_with<detail::kept_value<T>>(std::move(*this), std::move(f));
}

template <typename T>
template <typename F>
promise<T> promise<T>::catch_(F f) const {
  return detail::then<T>(*this, [g = std::move(f)](promise p) mutable -> promise {
    if (p.is_rejected()) return g(p.error());
    return p;
  });
}

template <typename T>
template <typename F, typename H>
auto promise<T>::try_bind(F f, H h) const -> std::invoke_result_t<H&, std::exception_ptr> {
  using result = std::invoke_result_t<H&, std::exception_ptr>;
  return detail::then<detail::promised_t<result>>(
      *this,
      [g = std::move(f), k = std::move(h),
       kept = detail::kept_reference<T>()](promise p) mutable -> result {
        if (p.is_rejected()) return k(p.error());
        return kept.give_to(g, std::move(p));
      });
}

template <typename T>
template <typename F>
promise<T> promise<T>::finalize(F f) const {
  return detail::then<T>(*this, [g = std::move(f)](promise p) mutable -> promise {
    promise<> last = g();
    return detail::then<T>(std::move(last), [p](promise<> end) -> promise {
      if (end.is_rejected()) return rejected<T>(end.error());
      return p;
    });
  });
}

}  // namespace fermata
