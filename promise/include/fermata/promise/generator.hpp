// SPDX-License-Identifier: MIT
/// Async generators: coroutines that give one item after another and may wait between them.
///
/// Shape:    a coroutine that returns `async_generator<T>` may `co_yield` and `co_await`. It begins
///           at the first `co_await g.next()`, which gives the next item, and nothing at the end.
///           Dropped between two items it is destroyed at once; one that waits is cancelled, and
///           ends by itself. While somebody waits for the promise of a `next` it goes on instead,
///           gives that item, and is destroyed then; who wants its end cancels that promise.
///           `close()` waits for the end: the body sees `cancelled` at its `co_yield`, so that it
///           may wait while it cleans up.
/// Pauses:   `next` checks the slice, once an item.
/// Thread:   loop.
/// Rejects:  `next`: with what the body throws, once; then there is nothing more. A cancel of a
///           `next` that waits goes on to what the body waits for. `contract_error` where two wait
///           for the next item at once.
/// Cost:     a frame and an object a generator; no allocation an item.
/// Lifetime: arguments of the body taken by reference outlive the generator.
#pragma once

#include <fermata/promise/detail/counted.hpp>
#include <fermata/promise/detail/operation.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <source_location>
#include <utility>

namespace fermata {

template <typename T>
class async_generator;

namespace detail {

template <typename T>
class generator_promise;

/// Resolves when `p` has settled; a cancel that was asked for is no failure.
[[nodiscard]] promise<> without_cancelled(promise<> p);

/// What the handle and the body share.
template <typename T>
class generator_core final : public ready_node {
public:
  explicit generator_core(generator_promise<T>& body) noexcept : body_(&body) {}
  generator_core(const generator_core&) = delete;
  generator_core& operator=(const generator_core&) = delete;
  ~generator_core();

  /// Lets the body run where it stands between two items. True: an item is there, or the end.
  [[nodiscard]] bool advance();
  /// The item that is there; nothing at the end. Throws: what the body has thrown, once.
  [[nodiscard]] std::optional<T> take();
  /// Ends the body.
  [[nodiscard]] promise<> close();

  // Called by the body.
  template <typename U>
  void yield(U&& item);
  void ended() noexcept {
    body_ = nullptr;
    waiters.grant_all();
  }
  [[nodiscard]] bool is_closing() const noexcept { return is_closing_; }
  void stands() noexcept { is_idle_ = true; }

  std::size_t count = 0;
  wait_queue waiters;  // at most one
  promise<> end;       // settles when the body has ended

private:
  void run() noexcept override;
  void go_on();

  generator_promise<T>* body_;  // until it has ended
  std::optional<T> item_;
  bool is_idle_ = true;  // the body stands before its begin, or at a co_yield
  bool has_begun_ = false;
  bool is_closing_ = false;
};

template <typename T>
class generator_next {
public:
  using result = std::optional<T>;
  using slot = std::optional<T>;
  explicit generator_next(counted_ptr<generator_core<T>> core) noexcept : core_(std::move(core)) {}
  [[nodiscard]] bool is_ready() const { return !core_->waiters.empty() || core_->advance(); }
  /// Throws: `contract_error` where somebody else waits.
  [[nodiscard]] result perform() {
    if (!core_->waiters.empty()) {
      throw contract_error("the next item of a generator is waited for twice at once");
    }
    return core_->take();
  }
  [[nodiscard]] result take(slot& item) {
    if (item) return result(std::in_place, std::move(*item));
    return core_->take();
  }
  [[nodiscard]] wait_queue& queue() const noexcept { return core_->waiters; }
  /// The request goes on to what the body waits for.
  [[nodiscard]] state_base* request_cancel() const { return &access::root(core_->end); }

private:
  counted_ptr<generator_core<T>> core_;
};

/// Its frame is freed when the body ends, or by the core while it stands between two items.
template <typename T>
class generator_promise final : public coroutine_state<void> {
public:
  struct start {
    generator_promise& body;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const {}
  };
  struct yielded {
    generator_promise& body;
    std::source_location site;
    bool await_ready() const noexcept { return body.core_ == nullptr || body.core_->is_closing(); }
    void await_suspend(std::coroutine_handle<>) const noexcept {
      body.leave();
      body.core_->stands();
    }
    void await_resume() const {
      note_site(site);
      if (body.core_ == nullptr || body.core_->is_closing()) throw cancelled();
    }
  };

  ~generator_promise() {
    if (core_ == nullptr) return;
    if (core_->end.is_pending()) {  // what it waited for is gone for ever
      finish([](state<void>& s) { s.reject(std::make_exception_ptr(broken_promise())); });
    }
    core_->ended();
  }
  async_generator<T> get_return_object();
  start initial_suspend() noexcept { return {*this}; }
  template <typename U = T>
  requires std::convertible_to<U&&, T> yielded
  yield_value(U&& item, std::source_location site = std::source_location::current()) {
    if (core_ != nullptr && !core_->is_closing()) core_->yield(std::forward<U>(item));
    return {*this, site};
  }
  void return_void() {
    finish([](state<void>& s) { s.resolve(); });
  }
  void give_up() noexcept { core_ = nullptr; }
  [[nodiscard]] std::coroutine_handle<> frame() noexcept {
    return std::coroutine_handle<generator_promise>::from_promise(*this);
  }

private:
  generator_core<T>* core_ = nullptr;
};

}  // namespace detail

template <typename T>
class [[nodiscard]] async_generator {
public:
  using value_type = T;
  using promise_type = detail::generator_promise<T>;
  using next_operation = operation<detail::generator_next<T>>;

  /// No generator; everything but assignment and destruction throws `contract_error`.
  async_generator() noexcept = default;
  async_generator(async_generator&&) noexcept = default;
  async_generator& operator=(async_generator&& other) noexcept {
    async_generator taken(std::move(other));
    std::swap(core_, taken.core_);
    return *this;
  }
  ~async_generator() {
    if (core_) static_cast<void>(core_->waiters.front_wanted());  // who waits for nobody leaves
  }

  /// The next item; nothing at the end.
  next_operation next(std::source_location site = std::source_location::current()) {
    detail::note_site(site);  // where the body is until it has reached its first check
    return {detail::generator_next<T>(core()), site};
  }
  /// Ends the body and waits until it has ended. Rejects: what its cleaning up throws.
  promise<> close() { return core()->close(); }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(core_); }

private:
  friend promise_type;
  explicit async_generator(detail::counted_ptr<detail::generator_core<T>> core) noexcept
      : core_(std::move(core)) {}
  [[nodiscard]] const detail::counted_ptr<detail::generator_core<T>>& core() const {
    if (!core_) throw contract_error("a generator that was moved from is used");
    return core_;
  }
  detail::counted_ptr<detail::generator_core<T>> core_;
};

namespace detail {

template <typename T>
async_generator<T> generator_promise<T>::get_return_object() {
  counted_ptr<generator_core<T>> core(new generator_core<T>(*this));
  core->end = coroutine_state<void>::get_return_object();
  core_ = core.get();
  return async_generator<T>(std::move(core));
}

template <typename T>
generator_core<T>::~generator_core() {
  if (body_ == nullptr) {
    static_cast<void>(end.error());  // it was given to who waited for the next item
    return;
  }
  body_->give_up();
  if (is_idle_) {
    std::exchange(body_, nullptr)->frame().destroy();
    static_cast<void>(end.error());
  } else {
    cancel(end);
  }
}

template <typename T>
bool generator_core<T>::advance() {
  if (!item_ && body_ != nullptr && is_idle_ && !is_linked()) {
    if (event_loop::current().task().nesting < nesting_limit) {
      go_on();
    } else {
      event_loop::current().enqueue(*this);
    }
  }
  return item_ || body_ == nullptr;
}

template <typename T>
void generator_core<T>::go_on() {
  is_idle_ = false;
  has_begun_ = true;
  body_->enter();
  body_->frame().resume();
}

template <typename T>
void generator_core<T>::run() noexcept {
  const counted_ptr<generator_core> self(this);  // the body may drop its own generator
  if (body_ == nullptr || !is_idle_) return;
  go_on();
}

template <typename T>
template <typename U>
void generator_core<T>::yield(U&& item) {
  if (wait_node* n = waiters.front_wanted()) {
    waiting<generator_next<T>>::slot_of(*n).emplace(std::forward<U>(item));
    waiters.grant(*n);
  } else {
    item_.emplace(std::forward<U>(item));
  }
}

template <typename T>
std::optional<T> generator_core<T>::take() {
  if (item_) {
    std::optional<T> taken(std::in_place, std::move(*item_));
    item_.reset();
    return taken;
  }
  const promise<> over = std::exchange(end, ready());
  if (std::exception_ptr e = over.error()) std::rethrow_exception(std::move(e));
  return std::nullopt;
}

template <typename T>
promise<> generator_core<T>::close() {
  const counted_ptr<generator_core> self(this);
  item_.reset();
  is_closing_ = true;
  promise<> over = std::exchange(end, ready());
  if (body_ != nullptr && !is_idle_) {
    cancel(over);
  } else if (body_ != nullptr && has_begun_) {
    static_cast<void>(advance());
  } else if (body_ != nullptr) {
    body_->give_up();
    std::exchange(body_, nullptr)->frame().destroy();
    static_cast<void>(over.error());
    return ready();
  }
  return without_cancelled(std::move(over));
}

}  // namespace detail
}  // namespace fermata
