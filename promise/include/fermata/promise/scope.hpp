// SPDX-License-Identifier: MIT
/// A scope: work that runs side by side and ends together.
///
/// Shape:    `scope::run(body)` calls `body(scope&) -> promise<T>`; what it forks runs beside it.
/// The
///           result settles when the body and all children have ended and the release hooks have
///           run. One failure cancels all the rest; a cancel of the result cancels all.
/// Pauses:   never by itself.
/// Thread:   loop.
/// Rejects:  with the failures of the body and of forked children (`multiple_errors` for several),
///           else `cancelled` where the body was cancelled. A child's `cancelled` is no failure.
/// Lifetime: the scope ends with the result; callables live until their promise has settled.
#pragma once

#include <fermata/promise/combine.hpp>

#include <cstddef>
#include <list>
#include <memory>
#include <utility>
#include <vector>

namespace fermata {

class scope : private detail::canceller {
public:
  template <typename F>
  static auto run(F body) -> std::invoke_result_t<F&, scope&>;

  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;

  /// Starts `f() -> promise<>`; its failure fails the scope. In a cancelled scope nothing starts.
  template <typename F>
  void fork(F f) {
    start(std::move(f), kind::child);
  }
  /// The same, but its failure belongs to the promise that is returned.
  template <typename F>
  auto fork_promise(F f) -> std::invoke_result_t<F&>;
  /// Starts `f() -> promise<>` that is cancelled when the body and all children have ended.
  template <typename F>
  void fork_daemon(F f) {
    start(std::move(f), kind::daemon);
  }
  /// Calls `f() -> promise<>` when all have ended, the last hook first. Hooks are not cancelled.
  void on_release(unique_function<promise<>()> f) { hooks_.push_back(std::move(f)); }
  /// Cancels the body and every child, once.
  void cancel() noexcept;
  /// The same with a failure of its own.
  void fail(std::exception_ptr e);
  [[nodiscard]] bool is_cancelled() const noexcept { return is_cancelled_; }
  /// Children that have not ended, daemons included.
  [[nodiscard]] std::size_t children() const noexcept { return children_.size(); }

private:
  enum class kind { child, daemon };

  class child : public detail::waiter {
  public:
    child(scope& s, kind k) : scope_(s), kind_(k) {}
    virtual ~child() = default;
    void run() noexcept override;
    void drop() noexcept override;

  private:
    friend class scope;
    scope& scope_;
    std::list<std::unique_ptr<child>>::iterator place_;
    kind kind_;
    bool is_asked_ = false;  // to end
  };
  template <typename F>
  class child_of final : public child {
  public:
    child_of(scope& s, kind k, F&& f) : child(s, k), call(std::move(f)) {}
    F call;
  };

  scope() = default;
  ~scope() = default;

  template <typename F>
  void start(F f, kind k);
  template <typename F>
  static auto call(F& f, scope& s) -> std::invoke_result_t<F&, scope&>;
  void adopt(std::unique_ptr<child> c, detail::state_base& s);
  void ended(child& c, std::exception_ptr e) noexcept;
  void cancel_all(bool daemons_only) noexcept;
  detail::state_base* request_cancel() noexcept override;
  [[nodiscard]] promise<> children_ended();
  [[nodiscard]] promise<> released();
  [[nodiscard]] promise<> release(resolver<> end);

  std::list<std::unique_ptr<child>> children_;
  std::list<std::unique_ptr<child>>::iterator next_ = children_.end();  // that cancel_all asks
  std::size_t daemons_ = 0;
  std::vector<unique_function<promise<>()>> hooks_;
  std::vector<std::exception_ptr> failures_;
  detail::state_base* body_ = nullptr;
  resolver<> all_ended_;
  bool is_cancelled_ = false;
};

template <typename F>
auto scope::call(F& f, scope& s) -> std::invoke_result_t<F&, scope&> {
  using result = std::invoke_result_t<F&, scope&>;
  try {
    return f(s);
  } catch (...) {
    return rejected<detail::promised_t<result>>(std::current_exception());
  }
}

template <typename F>
auto scope::run(F body) -> std::invoke_result_t<F&, scope&> {
  scope s;
  auto main = call(body, s);
  s.body_ = &detail::access::root(main);
  if (s.is_cancelled_) fermata::cancel(main);
  bool was_cancelled = false;
  try {
    co_await main;
  } catch (const cancelled&) {
    was_cancelled = true;
  } catch (...) {
    s.fail(std::current_exception());
  }
  s.body_ = nullptr;
  if (was_cancelled) s.cancel();
  promise<> children = s.children_ended();
  co_await children;
  promise<> hooks = s.released();
  co_await hooks;
  if (s.failures_.size() == 1) std::rethrow_exception(s.failures_.front());
  if (!s.failures_.empty()) throw multiple_errors(std::move(s.failures_));
  co_return co_await std::move(main);
}

template <typename F>
void scope::start(F f, kind k) {
  if (is_cancelled_) return;
  auto c = std::make_unique<child_of<F>>(*this, k, std::move(f));
  promise<> p;
  try {
    p = c->call();
  } catch (...) {
    p = rejected(std::current_exception());
  }
  adopt(std::move(c), detail::access::root(p));
}

template <typename F>
auto scope::fork_promise(F f) -> std::invoke_result_t<F&> {
  using out = detail::promised_t<std::invoke_result_t<F&>>;
  if (is_cancelled_) return rejected<out>(cancelled());
  auto c = std::make_unique<child_of<F>>(*this, kind::child, std::move(f));
  promise<out> p;
  try {
    p = c->call();
  } catch (...) {
    p = rejected<out>(std::current_exception());
  }
  promise<> end = detail::then<void>(p, [](decltype(p) settled) {
    static_cast<void>(settled);
    return ready();
  });
  adopt(std::move(c), detail::access::root(end));
  return p;
}

}  // namespace fermata
