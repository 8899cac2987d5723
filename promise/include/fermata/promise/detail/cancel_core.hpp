// SPDX-License-Identifier: MIT
/// What stands behind cancel.hpp: the core that tokens share, and the nodes between two promises.
///
/// Thread: loop.
#pragma once

#include <fermata/promise/promise.hpp>

#include <coroutine>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

namespace fermata::detail {

class cancel_core;

/// Somebody who hears of a cancelled source once. It stands in the list of its core and keeps it.
class cancel_hook {
public:
  cancel_hook(const cancel_hook&) = delete;
  cancel_hook& operator=(const cancel_hook&) = delete;
  virtual void source_cancelled() noexcept = 0;

protected:
  cancel_hook() noexcept = default;
  ~cancel_hook() { leave(); }
  /// To be called where the core is not cancelled.
  void enter(std::shared_ptr<cancel_core> core) noexcept;
  void leave() noexcept;

private:
  friend class cancel_core;
  std::shared_ptr<cancel_core> core_;
  cancel_hook* next_ = nullptr;
  cancel_hook* previous_ = nullptr;
  bool is_listed_ = false;
};

/// Whether it was cancelled, why, and who is to hear of it.
class cancel_core final : public ready_node, public std::enable_shared_from_this<cancel_core> {
public:
  [[nodiscard]] bool is_cancelled() const noexcept { return is_cancelled_; }
  [[nodiscard]] std::string_view reason() const noexcept { return why_; }
  [[noreturn]] void raise() const;
  bool cancel(std::string_view why);
  /// Becomes cancelled with `parent`, or when a stop is requested.
  void follow(const std::shared_ptr<cancel_core>& parent);
  void follow(const std::stop_token& outer);
  [[nodiscard]] std::stop_token stop_token();
  void run() noexcept override;
  void lost() noexcept override;

private:
  friend class cancel_hook;
  // Where it hears of its parent.
  class link final : public cancel_hook {
  public:
    link(cancel_core& child, const std::shared_ptr<cancel_core>& parent);

  private:
    void source_cancelled() noexcept override;
    cancel_core& child_;
    std::shared_ptr<cancel_core> parent_;
  };
  // Called on the thread that requests a stop.
  struct poster {
    std::shared_ptr<mailbox> letters;
    std::weak_ptr<cancel_core> core;
    void operator()() const;
  };

  bool tell_some(int most) noexcept;

  cancel_hook* first_ = nullptr;
  cancel_hook* last_ = nullptr;
  std::string why_;
  std::optional<std::stop_source> stop_;
  std::unique_ptr<link> parent_;
  std::unique_ptr<std::stop_callback<poster>> outer_;
  std::shared_ptr<cancel_core> self_;  // while it is in the queue
  bool is_cancelled_ = false;
};

/// Resolves when a core is cancelled.
[[nodiscard]] promise<> wait_for_cancel(std::shared_ptr<cancel_core> core);

/// A state that settles like another one: the base of what stands between two promises.
template <typename T>
class relay : public state<T>, protected waiter, protected canceller {
protected:
  explicit relay(state_base& of) {
    this->set_producer(static_cast<canceller*>(this));
    wait_for(of);
  }
  /// The relay may be gone afterwards.
  void run() noexcept override {
    promise<T> p = access::handle(static_cast<state<T>*>(upstream()));
    let_go();
    settle_like(this->typed_root(), std::move(p));
    this->release();
  }
  void drop() noexcept override { end(std::make_exception_ptr(broken_promise())); }
  void end(std::exception_ptr e) noexcept {
    let_go();
    this->root().reject(std::move(e));
    this->release();
  }
};

template <typename T>
class shield final : private relay<T> {
public:
  static promise<T> make(promise<T> p, bool may_leave) {
    if (!p.is_pending()) return p;
    state<T>* s = new shield(access::root(p), may_leave);
    return access::handle(s);
  }

private:
  shield(state_base& of, bool may_leave) : relay<T>(of), may_leave_(may_leave) {}
  state_base* request_cancel() noexcept override {
    if (may_leave_ && this->is_waiting()) this->end(detail::plain_cancelled());
    return nullptr;
  }

  bool may_leave_;
};

template <typename T>
class token_node final : private relay<T>, private cancel_hook {
public:
  static promise<T> make(const std::shared_ptr<cancel_core>& core, promise<T> p) {
    auto* node = new token_node(access::root(p));
    promise<T> result = access::handle(static_cast<state<T>*>(node));
    p = {};
    if (core->is_cancelled()) {
      node->source_cancelled();
    } else {
      node->enter(core);
    }
    return result;
  }

private:
  explicit token_node(state_base& of) : relay<T>(of) {}
  void run() noexcept override {
    leave();
    relay<T>::run();
  }
  void source_cancelled() noexcept override { cancel_state(request_cancel()); }
  state_base* request_cancel() noexcept override {
    if (!this->is_waiting()) return nullptr;
    state_base* s = cancel_or_leave(*this);
    if (s == nullptr) {
      leave();
      this->end(detail::plain_cancelled());
    }
    return s;
  }
};

// ---- a task's own look ----

struct cancel_check_awaiter {
  coroutine_base& coroutine;
  [[nodiscard]] static bool await_ready() noexcept { return true; }
  static void await_suspend(std::coroutine_handle<>) noexcept {}
  void await_resume() const {
    if (coroutine.take_cancel()) throw cancelled();
  }
};
class [[nodiscard]] cancel_check {
public:
  [[nodiscard]] cancel_check_awaiter awaiter_for(coroutine_base& co) const noexcept { return {co}; }
};

struct cancel_look_awaiter {
  coroutine_base& coroutine;
  [[nodiscard]] static bool await_ready() noexcept { return true; }
  static void await_suspend(std::coroutine_handle<>) noexcept {}
  [[nodiscard]] bool await_resume() const noexcept { return coroutine.cancel_is_requested(); }
};
class [[nodiscard]] cancel_look {
public:
  [[nodiscard]] cancel_look_awaiter awaiter_for(coroutine_base& co) const noexcept { return {co}; }
};

}  // namespace fermata::detail
