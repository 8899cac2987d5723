// SPDX-License-Identifier: MIT
// Settling, forwarding, cancelling and the release of long chains without recursion.

#include <fermata/promise/detail/state.hpp>

#include <fmt/format.h>

#include <typeinfo>

namespace fermata {

multiple_errors::multiple_errors(std::vector<std::exception_ptr> errors)
    : error([&errors] {
        std::string text = fmt::format("{} operations failed", errors.size());
        for (const auto& e : errors) text += (&e == &errors.front() ? ": " : "; ") + message_of(e);
        return text;
      }()),
      errors_(std::move(errors)) {}

bool is_cancelled(const std::exception_ptr& e) noexcept {
#ifdef __GLIBCXX__
  return e && *e.__cxa_exception_type() == typeid(cancelled);
#else
  if (!e) return false;
  try {
    std::rethrow_exception(e);
  } catch (const cancelled&) {
    return true;
  } catch (...) {
    return false;
  }
#endif
}

namespace detail {

// ---- waiters ----

void waiter::wait_for(state_base& s) noexcept {
  event_loop::current().adopt(*this);
  upstream_ = &s;
  s.waiters_.push_back(*this);
}

void waiter::take(state_base& s) noexcept {
  s.add_ref();
  upstream_ = &s;
  is_ready_ = true;
}

void waiter::let_go() noexcept {
  unlink();
  state_base* s = std::exchange(upstream_, nullptr);
  if (std::exchange(is_ready_, false)) s->release();
}

// ---- settling ----

void state_base::settled(phase p) noexcept {
  phase_ = p;
  producer_ = nullptr;
  on_settled();
  while (ready_node* n = waiters_.pop_front()) {
    auto& w = static_cast<waiter&>(*n);
    add_ref();
    w.is_ready_ = true;
    event_loop::make_ready(w);
  }
}

bool state_base::reject(std::exception_ptr e) noexcept {
  if (!is_pending()) return false;
  error_ = std::move(e);
  settled(phase::rejected);
  return true;
}

// ---- forwarding ----

void state_base::forward_to(state_base& outer) noexcept {
  outer.producer_ = std::exchange(producer_, nullptr);
  phase_ = phase::forwarded;
  outer.add_ref();
  target_ = &outer;
}

state_base& state_base::forwarded_root() noexcept {
  state_base* end = target_;
  while (end->phase_ == phase::forwarded) end = end->target_;
  if (end != target_) {
    end->add_ref();
    std::exchange(target_, end)->release();
  }
  return *end;
}

// ---- the end ----

// States that die while another one is destroyed wait their turn, so that a chain of any length
// needs no stack.
void state_base::bury(state_base& s) noexcept {
  static thread_local constinit state_base* dead = nullptr;
  static thread_local constinit bool burying = false;
  s.next_dead_ = dead;
  dead = &s;
  if (burying) return;
  burying = true;
  while (dead != nullptr) destroy(*std::exchange(dead, dead->next_dead_));
  burying = false;
}

void state_base::destroy(state_base& s) noexcept {
  if (s.phase_ == phase::rejected && !s.observed_ && !is_cancelled(s.error_)) {
    if (event_loop* loop = event_loop::find_current()) loop->report_unobserved(s.error_);
  }
  while (ready_node* n = s.waiters_.pop_front()) {
    auto& w = static_cast<waiter&>(*n);
    w.upstream_ = nullptr;
    w.drop();
  }
  if (s.target_ != nullptr) s.target_->release();
  delete &s;
}

// ---- cancelling ----

void call_hook(unique_function<void()>& hook) noexcept {
  try {
    hook();
  } catch (...) {
    if (event_loop* loop = event_loop::find_current()) {
      loop->report_unobserved(std::current_exception());
    }
  }
}

void cancel_state(state_base* s) noexcept {
  while (s != nullptr) {
    canceller* producer = s->root().producer();
    if (producer == nullptr) return;
    s = producer->request_cancel();
  }
}

state_base* cancel_or_leave(waiter& w) noexcept {
  state_base& s = *w.upstream();
  if (s.waiters() <= 1) return &s;
  w.let_go();
  return nullptr;
}

}  // namespace detail
}  // namespace fermata
