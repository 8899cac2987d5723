// SPDX-License-Identifier: MIT
// Children of a scope: counted in, counted out, cancelled together.
//
// Invariant: a child stands in children_ from its start until its promise has settled, so the
// scope, which lives in the frame of run(), outlives every child. What run() waits for is therefore
// settled by the scope alone: the end of the loop reaches it through the children.

#include <fermata/promise/scope.hpp>

namespace fermata {

void scope::child::run() noexcept {
  std::exception_ptr e = upstream()->error();
  let_go();
  scope_.ended(*this, std::move(e));
}

void scope::child::drop() noexcept {
  scope_.ended(*this, std::make_exception_ptr(broken_promise()));
}

void scope::adopt(std::unique_ptr<child> c, detail::state_base& s) {
  child& kept = *c;
  if (kept.kind_ == kind::daemon) ++daemons_;
  kept.place_ = children_.insert(children_.end(), std::move(c));
  if (!s.is_pending()) {
    ended(kept, s.error());
    return;
  }
  kept.wait_for(s);
  if (!is_cancelled_) return;  // else it failed the scope while it started
  kept.is_asked_ = true;
  detail::cancel_state(&s);
}

void scope::ended(child& c, std::exception_ptr e) noexcept {
  if (c.kind_ == kind::daemon) --daemons_;
  if (next_ == c.place_) ++next_;
  children_.erase(c.place_);
  if (e && !fermata::is_cancelled(e)) fail(std::move(e));
  if (!all_ended_) return;
  if (children_.empty()) {
    all_ended_.resolve();
  } else if (children_.size() == daemons_) {
    cancel_all(true);
  }
}

void scope::fail(std::exception_ptr e) {
  failures_.push_back(std::move(e));
  cancel();
}

void scope::cancel() noexcept {
  if (is_cancelled_) return;
  is_cancelled_ = true;
  if (body_ != nullptr) detail::cancel_state(body_);
  cancel_all(false);
}

// Each child is asked once. Those that leave end here and now, and the last of them may call this
// anew: both calls share next_, and what the inner one has asked the outer one passes by.
void scope::cancel_all(bool daemons_only) noexcept {
  for (next_ = children_.begin(); next_ != children_.end();) {
    child& c = **next_++;
    if ((daemons_only && c.kind_ != kind::daemon) || c.is_asked_ || !c.is_waiting()) continue;
    c.is_asked_ = true;
    if (detail::state_base* s = detail::cancel_or_leave(c)) {
      detail::cancel_state(s);
    } else {
      ended(c, nullptr);
    }
  }
}

promise<> scope::children_ended() {
  if (children_.size() == daemons_) cancel_all(true);
  if (children_.empty()) return ready();
  auto* s = new detail::state<void>;
  s->set_producer(this);
  all_ended_ = detail::access::end(s);
  return detail::access::handle(s);
}

detail::state_base* scope::request_cancel() noexcept {
  cancel();
  return nullptr;
}

// Nothing can cancel this promise, and so no hook.
promise<> scope::released() {
  auto* s = new detail::state<void>;
  promise<> end = detail::access::handle(s);
  promise<> hooks = release(detail::access::end(s));
  return end;
}

promise<> scope::release(resolver<> end) {
  while (!hooks_.empty()) {
    unique_function<promise<>()> hook = std::move(hooks_.back());
    hooks_.pop_back();
    try {
      promise<> done = hook();
      co_await done;
    } catch (...) {
      failures_.push_back(std::current_exception());
    }
    promise<> children = children_ended();  // that the hook has forked
    co_await children;
  }
  end.resolve();
}

}  // namespace fermata
