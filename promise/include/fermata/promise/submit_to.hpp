// SPDX-License-Identifier: MIT
/// `submit_to(loop, f)`: calls `f` on another loop and brings its result back as a promise.
///
/// Shape:    `f` may return a value or a promise of the other loop. Calls of one loop to another
///           begin in their order. `f` is destroyed where it ran.
/// Cancel:   goes over: an `f` that has not begun is not called, a promise that it has returned is
///           cancelled there. The promise here settles when that is over.
/// End:      where the other loop has ended, or ends first: `loop_closed`. Where this loop ends
///           first, its promise is rejected and the other one asked to cancel; nobody waits for it.
/// Pauses:   never; a storm of calls is cut by the slice of the loop that runs them.
/// Thread:   loop; the other one may be of any thread, also of this one. A mailbox is safe for
///           ever, an `event_loop&` while that loop exists.
/// Rejects:  what `f` throws or rejects with, `cancelled`, `loop_closed`.
/// Site:     until its first check reports of `f` name the line of the call; so does `async_trace`
///           of the promise while that is pending.
/// Cost:     three allocations, and a wake-up for each of the loops that sleeps.
/// Lifetime: values cross by move; what `f` refers to lives until the promise has settled.
#pragma once

#include <fermata/promise/detail/crossing.hpp>
#include <fermata/promise/detail/when_settled.hpp>

#include <atomic>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace fermata {

namespace detail {

/// What a function gives, without the promise around it.
template <typename R>
struct awaited_result {
  using type = std::decay_t<R>;
};
template <any_promise R>
struct awaited_result<R> {
  using type = promised_t<R>;
};
template <typename F>
using awaited_result_t = typename awaited_result<std::invoke_result_t<F&>>::type;

template <typename F>
class remote_call final : public crossing<awaited_result_t<F>> {
public:
  using given = std::invoke_result_t<F&>;
  using result = awaited_result_t<F>;

  remote_call(mailbox_ptr there, F&& f, std::source_location site)
      : there_(std::move(there)), call_(std::move(f)), site_(site), go_(*this), stop_(*this) {}

  promise<result> start(event_loop& here) {
    promise<result> p = this->open(
        here, [this] { ask_to_stop(); }, site_);
    if (!there_->send(go_)) {
      this->close(std::make_exception_ptr(loop_closed()));
      this->release();  // the half that would have gone
    }
    return p;
  }

private:
  struct go_letter final : letter {
    explicit go_letter(remote_call& c) : letter(false), call(c) {}
    void deliver() noexcept override { call.begin(); }
    void drop() noexcept override { call.answer_closed(); }
    remote_call& call;
  };
  struct stop_letter final : letter {
    explicit stop_letter(remote_call& c) : letter(false), call(c) {}
    void deliver() noexcept override {
      cancel_state(call.running_);
      call.release();
    }
    void drop() noexcept override { call.release(); }
    remote_call& call;
  };

  // ---- home ----

  void is_abandoned() noexcept override { ask_to_stop(); }
  void ask_to_stop() noexcept {
    if (is_stopped_.exchange(true)) return;
    this->add_ref();
    if (!there_->send(stop_)) this->release();
  }

  // ---- there ----

  void answer_closed() noexcept {
    call_.reset();
    this->keep_error(std::make_exception_ptr(loop_closed()));
    this->send();
  }
  void begin() noexcept {
    if (event_loop::current().is_ending()) {
      answer_closed();
      return;
    }
    note_site(site_);
    try {
      if (is_stopped_.load()) throw cancelled();
      if (!call_now()) return;
    } catch (...) {
      this->keep_error(std::current_exception());
    }
    end();
  }
  // False: the answer comes later.
  bool call_now() {
    if constexpr (any_promise<given>) {
      given p = (*call_)();
      if (p.is_pending()) {
        running_ = &access::root(p);
        when_settled(std::move(p), [this](given settled) {
          running_ = nullptr;
          this->keep(std::move(settled));
          end();
        });
        return false;
      }
      this->keep(std::move(p));
    } else if constexpr (std::is_void_v<result>) {
      (*call_)();
    } else {
      this->keep_value((*call_)());
    }
    return true;
  }
  void end() noexcept {
    call_.reset();
    this->send();
  }

  mailbox_ptr there_;
  std::optional<F> call_;
  std::source_location site_;
  go_letter go_;
  stop_letter stop_;
  std::atomic<bool> is_stopped_ = false;
  state_base* running_ = nullptr;  // there
};

}  // namespace detail

template <std::invocable F>
auto submit_to(const mailbox_ptr& there,
               F f,
               std::source_location site = std::source_location::current())
    -> promise<detail::awaited_result_t<F>> {
  event_loop& here = event_loop::current();
  auto* call = new detail::remote_call<F>(there, std::move(f), site);
  return call->start(here);
}

template <std::invocable F>
auto submit_to(event_loop& there, F f, std::source_location site = std::source_location::current())
    -> promise<detail::awaited_result_t<F>> {
  return submit_to(there.letters(), std::move(f), site);
}

}  // namespace fermata
