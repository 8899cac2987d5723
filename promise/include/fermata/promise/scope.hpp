// SPDX-License-Identifier: MIT
/// A scope: work that runs side by side and ends together.
///
/// Shape:    `scope::run(body)` calls `body(scope&) -> promise<T>`; what it forks runs beside it.
///           The result settles when the body and all children have ended and the release hooks
///           have run. One failure cancels all the rest; a cancel of the result cancels all, also
///           when the body has ended and only children are left.
/// Pauses:   may, while more than 256 children are told of a cancel.
/// Thread:   loop.
/// Rejects:  with the failures of the body and of forked children (`multiple_errors` for several,
///           but one `loop_closed` where all of them are that), `timed_out` where the time limit
///           was over, else `cancelled` where the body was cancelled, or where a cancel of the
///           scope has kept a child from its end or from its start. Daemons do not count, nor does
///           a child that ended normally in spite of the cancel, or in `cancelled` without one.
/// Cost:     a child is two allocations beside its own, and one reading of the clock.
/// Lifetime: the scope ends with the result; callables live until their promise has settled.
#pragma once

#include <fermata/promise/combine.hpp>
#include <fermata/promise/context.hpp>
#include <fermata/promise/sleep.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace fermata {

struct scope_options {
  scope_options() {}  // no aggregate: safe as a default argument under g++ 12
  std::string name;   ///< of the scope in `dump`
  /// When it is over, all is cancelled and the result rejects with `timed_out`.
  std::optional<std::chrono::nanoseconds> time_limit;
};

class scope : private detail::canceller {
public:
  template <typename F>
  static auto run(F body) -> std::invoke_result_t<F&, scope&>;
  template <typename F>
  static auto run(scope_options options, F body) -> std::invoke_result_t<F&, scope&>;

  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;

  using site = std::source_location;

  /// Starts `f() -> promise<>`; its failure fails the scope. In a cancelled scope nothing starts.
  /// A name stands in `dump`, and in what the loop reports of the child.
  template <typename F>
  void fork(F f, site at = site::current()) {
    start({}, std::move(f), kind::child, at);
  }
  template <typename F>
  void fork(std::string name, F f, site at = site::current()) {
    start(std::move(name), std::move(f), kind::child, at);
  }
  /// The same, but its failure belongs to the promise that is returned.
  template <typename F>
  auto fork_promise(F f, site at = site::current()) -> std::invoke_result_t<F&> {
    return fork_promise(std::string(), std::move(f), at);
  }
  template <typename F>
  auto fork_promise(std::string name, F f, site at = site::current()) -> std::invoke_result_t<F&>;
  /// Starts `f() -> promise<>` that is cancelled when the body and all children have ended.
  template <typename F>
  void fork_daemon(F f, site at = site::current()) {
    start({}, std::move(f), kind::daemon, at);
  }
  template <typename F>
  void fork_daemon(std::string name, F f, site at = site::current()) {
    start(std::move(name), std::move(f), kind::daemon, at);
  }

  using hook_id = std::uint64_t;
  /// Calls `f() -> promise<>` when all have ended, the last hook first. Hooks are not cancelled.
  hook_id on_release(unique_function<promise<>()> f);
  /// Takes a hook away. False: it has been called or taken away before.
  bool remove_hook(hook_id id) { return hooks_.erase(id) > 0; }

  /// Cancels the body and every child, once. The reason stands in `dump`, and in the `cancelled`
  /// that the result rejects with; but it does not where all end normally in spite of this.
  void cancel(std::string_view why = {}) noexcept;
  /// The same with a failure of its own.
  void fail(std::exception_ptr e);
  [[nodiscard]] bool is_cancelled() const noexcept { return is_cancelled_; }
  /// Children that have not ended, daemons included.
  [[nodiscard]] std::size_t children() const noexcept { return children_.size(); }
  /// The scope and the first `most` of its children: one line each with name, site and age.
  [[nodiscard]] std::string dump(std::size_t most = 100) const;

private:
  enum class kind : std::uint8_t { child, daemon };
  enum class asked : std::uint8_t { nobody, daemons, all };  // to end

  class child : public detail::waiter {
  public:
    child(scope& s, std::string name, kind k, const site& at)
        : scope_(s),
          name_(std::move(name)),
          site_(at),
          since_(event_loop::current().now()),
          kind_(k) {}
    virtual ~child() = default;
    void run() noexcept override;
    void drop() noexcept override;
    /// In which it is to be called.
    [[nodiscard]] context_ptr context() const;

  private:
    friend class scope;
    scope& scope_;
    std::list<std::unique_ptr<child>>::iterator place_;
    std::string name_;
    site site_;
    time_point since_;
    kind kind_;
    bool is_asked_ = false;  // to end
  };
  template <typename F>
  class child_of final : public child {
  public:
    child_of(scope& s, std::string name, kind k, const site& at, F&& f)
        : child(s, std::move(name), k, at), call(std::move(f)) {}
    /// What it throws becomes the promise.
    auto begin() -> std::invoke_result_t<F&> {
      try {
        const detail::context_change change(this->context());
        return call();
      } catch (...) {
        using value = detail::promised_t<std::invoke_result_t<F&>>;
        return rejected<value>(std::current_exception());
      }
    }
    F call;
  };
  /// Goes on with a cancel of many children.
  class asking final : public ready_node {
  public:
    explicit asking(scope& s) : scope_(s) {}
    void run() noexcept override;

  private:
    scope& scope_;
  };

  explicit scope(scope_options options) : name_(std::move(options.name)) {}
  ~scope() = default;

  template <typename F>
  void start(std::string name, F f, kind k, const site& at);
  template <typename F>
  static auto call(F& f, scope& s) -> std::invoke_result_t<F&, scope&>;
  void limit(const std::optional<std::chrono::nanoseconds>& d);
  void adopt(std::unique_ptr<child> c, detail::state_base& s);
  void ended(child& c, std::exception_ptr e) noexcept;
  void body_was_cancelled(const cancelled& c) noexcept;
  void ask_all(asked whom) noexcept;
  void ask_some(std::size_t most) noexcept;
  [[nodiscard]] bool is_meant(const child& c) const noexcept {
    return asked_ == asked::all || (asked_ == asked::daemons && c.kind_ == kind::daemon);
  }
  detail::state_base* request_cancel() noexcept override;
  [[nodiscard]] promise<> children_ended();
  [[nodiscard]] promise<> released();
  [[nodiscard]] promise<> release(resolver<> end);
  void throw_failures();
  [[nodiscard]] cancelled reason() const;

  std::string name_;
  std::string why_;
  time_point since_ = event_loop::current().now();
  std::list<std::unique_ptr<child>> children_;
  std::list<std::unique_ptr<child>>::iterator next_ = children_.end();  // to be asked to end
  std::size_t daemons_ = 0;
  std::map<hook_id, unique_function<promise<>()>> hooks_;
  hook_id last_hook_ = 0;
  std::vector<std::exception_ptr> failures_;
  detail::state_base* body_ = nullptr;
  resolver<> all_ended_;
  std::optional<timer> limit_;
  asking asking_{*this};
  asked asked_ = asked::nobody;
  bool is_cancelled_ = false;
  bool is_cut_short_ = false;  // the body or a child has not ended or begun because of a cancel
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
  return run(scope_options(), std::move(body));
}

template <typename F>
auto scope::run(scope_options options, F body) -> std::invoke_result_t<F&, scope&> {
  scope s(std::move(options));
  s.limit(options.time_limit);
  auto main = call(body, s);
  s.body_ = &detail::access::root(main);
  if (s.is_cancelled_) fermata::cancel(main);
  try {
    co_await main;
  } catch (const cancelled& c) {
    s.body_was_cancelled(c);
  } catch (...) {
    s.fail(std::current_exception());
  }
  s.body_ = nullptr;
  promise<> children = s.children_ended();
  co_await children;
  s.limit_.reset();
  promise<> hooks = s.released();
  co_await hooks;
  s.throw_failures();
  co_return co_await std::move(main);
}

template <typename F>
void scope::start(std::string name, F f, kind k, const site& at) {
  static_assert(detail::any_promise<std::invoke_result_t<F&>>,
                "what a scope forks returns a promise");
  if (is_cancelled_) {
    is_cut_short_ = is_cut_short_ || k == kind::child;
    return;
  }
  detail::note_site(at);  // where the child is until its first check
  auto c = std::make_unique<child_of<F>>(*this, std::move(name), k, at, std::move(f));
  const promise<> p = c->begin();
  adopt(std::move(c), detail::access::root(p));
}

template <typename F>
auto scope::fork_promise(std::string name, F f, site at) -> std::invoke_result_t<F&> {
  using out = detail::promised_t<std::invoke_result_t<F&>>;
  if (is_cancelled_) {
    is_cut_short_ = true;
    return rejected<out>(reason());
  }
  detail::note_site(at);
  auto c = std::make_unique<child_of<F>>(*this, std::move(name), kind::child, at, std::move(f));
  const promise<out> p = c->begin();
  const promise<> end = detail::then<void>(p, [](promise<out> settled) {
    const std::exception_ptr e = detail::access::root(settled).peek_error();
    return fermata::is_cancelled(e) ? rejected<>(e) : ready();
  });
  adopt(std::move(c), detail::access::root(end));
  return p;
}

}  // namespace fermata
