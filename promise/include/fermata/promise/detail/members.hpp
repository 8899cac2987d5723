// SPDX-License-Identifier: MIT
/// The members of `promise` and the functions that make promises: see promise.hpp.
///
/// Thread: loop.
#pragma once

#include <fermata/promise/detail/then.hpp>

#include <tuple>

namespace fermata {

// ---- making promises ----

template <typename T>
promise_and_resolver<T> make_promise() {
  detail::state<T>* s = new detail::leaf_state<T>(detail::alone);
  return {detail::access::handle(s), detail::access::end(s)};
}

template <typename T>
promise_and_resolver<T> make_task(unique_function<void()> on_cancel, std::source_location site) {
  detail::state<T>* s = new detail::task_state<T>(std::move(on_cancel), site);
  return {detail::access::handle(s), detail::access::end(s)};
}

template <typename T>
inline promise<std::decay_t<T>> ready(T&& value) {
  using decayed = std::decay_t<T>;
  if constexpr (detail::own_value<decayed>::may_be) {
    return detail::access::with_value<decayed>({std::forward<T>(value)});
  } else {
    using state = detail::state<decayed>;
    return detail::access::adopt(new state(std::in_place, std::forward<T>(value)));
  }
}

inline promise<> ready() { return detail::access::with_value<void>({}); }

template <typename T>
promise<T> rejected(std::exception_ptr e, std::source_location site) {
  auto* s = new detail::state<T>(detail::alone);
  promise<T> p = detail::access::adopt(s);
  s->reject(std::move(e), detail::rejection_path(site, {}));
  return p;
}

template <typename T>
promise<T> never() {
  auto* s = new detail::leaf_state<T>();
  s->keep();
  return detail::access::adopt<T>(s);
}

template <typename T>
void cancel(const promise<T>& p) {
  detail::cancel_state(&detail::access::root(p));
}

template <typename T>
std::string async_trace(const promise<T>& p) {
  return detail::trace_of(detail::access::root(p));
}

// ---- members ----

// Only what needs a state comes here: who waits, who shares the value by reference.
template <typename T>
void promise<T>::make_state() const {
  if (state_ == nullptr) detail::refuse_empty();
  detail::state<T>* made = nullptr;
  if constexpr (std::is_void_v<T>) {
    made = new detail::state<T>(std::in_place);
  } else if constexpr (detail::own_value<T>::may_be) {
    made = new detail::state<T>(std::in_place, own_.value);
  }
  made->turn_into_handle();
  state_ = made;
}

template <typename T>
T promise<T>::get() && {
  detail::state<T>& s = root();
  if (s.is_pending()) throw contract_error("the value of a pending promise is asked for");
  if (s.now() == detail::phase::rejected) std::rethrow_exception(s.error());
  if constexpr (!std::is_void_v<T>) return detail::take_value(s, 1);
}

template <typename T>
template <typename F>
auto promise<T>::bind(
    F f, std::source_location site) const& -> detail::called_with_t<F, detail::read_t<T>> {
  static_cast<void>(root());  // a value in the handle gets its state once, for all binds
  return detail::bind_with<detail::kept_reference<T>>(promise(*this), f, site);
}

template <typename T>
template <typename F>
auto promise<T>::bind(F f, std::source_location site) && -> detail::called_with_t<F, T> {
  return detail::bind_with<detail::kept_value<T>>(std::move(*this), f, site);
}

template <typename T>
template <typename F>
auto promise<T>::map(F f, std::source_location site)
    const& -> promise<std::decay_t<detail::called_with_t<F, detail::read_t<T>>>> {
  static_cast<void>(root());
  return detail::map_with<detail::kept_reference<T>>(promise(*this), f, site);
}

template <typename T>
template <typename F>
auto promise<T>::map(
    F f, std::source_location site) && -> promise<std::decay_t<detail::called_with_t<F, T>>> {
  return detail::map_with<detail::kept_value<T>>(std::move(*this), f, site);
}

template <typename T>
template <typename F>
promise<T> promise<T>::catch_(F f, std::source_location site) const& {
  return promise(*this).catch_(std::move(f), site);
}

template <typename T>
template <typename F>
promise<T> promise<T>::catch_(F f, std::source_location site) && {
  auto call = [g = std::move(f)](promise p) mutable -> promise {
    if (p.is_rejected()) return g(p.error());
    return p;
  };
  return detail::then<T>(std::move(*this), std::move(call), site);
}

template <typename T>
template <typename E, typename F>
promise<T> promise<T>::catch_as(F f, std::source_location site) const& {
  return promise(*this).template catch_as<E>(std::move(f), site);
}

template <typename T>
template <typename E, typename F>
promise<T> promise<T>::catch_as(F f, std::source_location site) && {
  auto call = [g = std::move(f), kept = std::exception_ptr()](promise p) mutable -> promise {
    if (!p.is_rejected()) return p;
    kept = detail::access::root(p).peek_error();  // what `f` gets lives as long as its promise
    try {
      std::rethrow_exception(kept);
    } catch (const E& e) {
      static_cast<void>(p.error());  // it is seen
      return g(e);
    } catch (...) {
      return p;
    }
  };
  return detail::then<T>(std::move(*this), std::move(call), site);
}

template <typename T>
template <typename F, typename H>
auto promise<T>::try_bind(F f, H h, std::source_location site) const
    -> std::invoke_result_t<H&, std::exception_ptr> {
  using result = std::invoke_result_t<H&, std::exception_ptr>;
  auto call = [g = std::move(f), k = std::move(h),
               kept = detail::kept_reference<T>()](promise p) mutable -> result {
    if (p.is_rejected()) return k(p.error());
    return kept.give_to(g, std::move(p));
  };
  return detail::then<detail::promised_t<result>>(*this, std::move(call), site);
}

template <typename T>
template <typename F>
promise<T> promise<T>::finalize(F f, std::source_location site) const& {
  return promise(*this).finalize(std::move(f), site);
}

template <typename T>
template <typename F>
promise<T> promise<T>::finalize(F f, std::source_location site) && {
  auto call = [g = std::move(f), site](promise p) mutable -> promise {
    promise<> last = g();
    auto give = [kept = std::move(p), site](promise<> end) mutable -> promise {
      if (end.is_rejected()) return detail::rejected_as<T>(detail::access::root(end), site);
      return std::move(kept);
    };
    return detail::then<T>(std::move(last), std::move(give), site);
  };
  return detail::then<T>(std::move(*this), std::move(call), site);
}

template <typename T>
template <typename... Kept>
promise<T> promise<T>::attach(Kept&&... kept) && {
  auto pass = [held = std::tuple<std::decay_t<Kept>...>(std::forward<Kept>(kept)...)](promise p) {
    return p;
  };
  return detail::then<T>(std::move(*this), std::move(pass));
}

template <typename T>
template <typename F>
void promise<T>::on_success(F f, std::source_location site) const {
  auto call = [g = std::move(f)](promise p) mutable {
    if (p.is_rejected()) return ready();  // its other waiters see it
    if constexpr (std::is_void_v<T>) {
      g();
    } else {
      g(*p.peek());
    }
    return ready();
  };
  static_cast<void>(detail::then<void>(*this, std::move(call), site));
}

template <typename T>
template <typename F>
void promise<T>::on_failure(F f, std::source_location site) const {
  auto call = [g = std::move(f)](promise p) mutable {
    if (p.is_rejected()) g(p.error());
    return ready();
  };
  static_cast<void>(detail::then<void>(*this, std::move(call), site));
}

template <typename T>
template <typename F>
void promise<T>::on_settled(F f, std::source_location site) const {
  auto call = [g = std::move(f)](promise p) mutable {
    g(std::as_const(p));
    return ready();
  };
  static_cast<void>(detail::then<void>(*this, std::move(call), site));
}

template <typename F, typename H>
requires std::invocable<H&, std::exception_ptr>
void async(F f, H on_error, std::source_location site) {
  auto run = [g = std::move(f)](promise<>) mutable { return g(); };
  promise<> p = detail::then<void>(ready(), std::move(run), site);
  auto end = [h = std::move(on_error)](promise<> settled) mutable {
    if (!settled.is_rejected()) return ready();
    std::exception_ptr e = settled.error();
    if (!is_cancelled(e)) h(std::move(e));
    return ready();
  };
  static_cast<void>(detail::then<void>(std::move(p), std::move(end), site));
}

template <typename F>
void async(F f, std::source_location site) {
  event_loop& loop = event_loop::current();
  auto report = [&loop](std::exception_ptr e) { loop.report_unobserved(std::move(e)); };
  async(std::move(f), report, site);
}

}  // namespace fermata
