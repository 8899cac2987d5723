// SPDX-License-Identifier: MIT
// Children of a scope: counted in, counted out, cancelled together.
//
// Invariant: a child stands in children_ from its start until its promise has settled, so the
// scope, which lives in the frame of run(), outlives every child. What run() waits for is therefore
// settled by the scope alone: the end of the loop reaches it through the children.

#include <fermata/promise/detail/some_error.hpp>
#include <fermata/promise/scope.hpp>

#include <fmt/format.h>

namespace fermata {

namespace {

constexpr std::size_t asked_at_once = 256;  // the others hear of a cancel from the queue
constexpr std::size_t asked_between_checks = 32;
constexpr std::chrono::nanoseconds cost_of_asking = std::chrono::microseconds(8);

std::string_view file_of(const std::source_location& at) {
  const std::string_view path = at.file_name();
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

// ---- children ----

void scope::child::run() noexcept {
  std::exception_ptr e = upstream()->error();
  let_go();
  scope_.ended(*this, std::move(e));
}

void scope::child::drop() noexcept {
  scope_.ended(*this, std::make_exception_ptr(broken_promise()));
}

context_ptr scope::child::context() const {
  return name_.empty() ? event_loop::current().current_context() : detail::renamed_context(name_);
}

void scope::adopt(std::unique_ptr<child> c, detail::state_base& s) {
  child& kept = *c;
  if (kept.kind_ == kind::daemon) ++daemons_;
  kept.place_ = children_.insert(children_.end(), std::move(c));
  if (!s.is_pending()) {
    kept.is_asked_ = is_meant(kept);
    ended(kept, s.error());
    return;
  }
  kept.wait_for(s);
  if (!is_meant(kept)) return;  // else the scope was told to end while this one started
  kept.is_asked_ = true;
  detail::cancel_state(&s);
}

void scope::ended(child& c, std::exception_ptr e) noexcept {
  const bool was_cancelled = fermata::is_cancelled(e);
  if (c.kind_ == kind::daemon) {
    --daemons_;
  } else if (was_cancelled && c.is_asked_) {
    is_cut_short_ = true;
  }
  if (next_ == c.place_) ++next_;
  children_.erase(c.place_);
  if (e && !was_cancelled) fail(std::move(e));
  if (!all_ended_) return;
  if (children_.empty()) {
    all_ended_.resolve();
  } else if (children_.size() == daemons_) {
    ask_all(asked::daemons);
  }
}

// ---- cancelling ----

void scope::fail(std::exception_ptr e) {
  failures_.push_back(detail::some_error(std::move(e)));
  cancel();
}

void scope::body_was_cancelled(const cancelled& c) noexcept {
  is_cut_short_ = true;
  cancel(c.reason());
}

void scope::cancel(std::string_view why) noexcept {
  if (is_cancelled_) return;
  is_cancelled_ = true;
  why_ = why;
  if (body_ != nullptr) detail::cancel_state(body_);
  ask_all(asked::all);
}

// Each child is asked once. Those that leave end here and now, and the last of them may call this
// anew: both calls share next_, and what the inner one has asked the outer one passes by.
void scope::ask_all(asked whom) noexcept {
  if (whom <= asked_) return;
  asked_ = whom;
  next_ = children_.begin();
  if (asking_.is_linked()) return;
  event_loop* const loop = event_loop::find_current();
  if (loop == nullptr) return;  // it has ended, and tells each of them
  ask_some(asked_at_once);
  if (next_ != children_.end() && !asking_.is_linked()) loop->enqueue(asking_);
}

// Scopes that are nested deeper than the stack may be go on from the queue.
void scope::ask_some(std::size_t most) noexcept {
  event_loop::task_state& task = event_loop::current().task();
  if (task.nesting >= nesting_limit) return;
  ++task.nesting;
  for (; most > 0 && next_ != children_.end(); --most) {
    child& c = **next_++;
    if (!is_meant(c) || c.is_asked_ || !c.is_waiting()) continue;
    c.is_asked_ = true;
    if (detail::state_base* s = detail::cancel_or_leave(c)) {
      detail::cancel_state(s);
    } else {
      ended(c, detail::plain_cancelled());
    }
  }
  --task.nesting;
}

// Where the last child leaves meanwhile, who hears of it comes later in the queue.
void scope::asking::run() noexcept {
  event_loop& loop = event_loop::current();
  while (scope_.next_ != scope_.children_.end()) {
    scope_.ask_some(asked_between_checks);
    if (!due(cost_of_asking)) continue;
    if (scope_.next_ != scope_.children_.end() && !is_linked()) loop.give_way(*this);
    return;
  }
}

detail::state_base* scope::request_cancel() noexcept {
  cancel();
  return nullptr;
}

void scope::limit(const std::optional<std::chrono::nanoseconds>& d) {
  if (!d) return;
  limit_.emplace(event_loop::current(), *d,
                 [this, after = *d] { fail(std::make_exception_ptr(timed_out(after))); });
}

cancelled scope::reason() const { return why_.empty() ? cancelled() : cancelled(why_); }

void scope::throw_failures() {
  if (!failures_.empty()) std::rethrow_exception(detail::sum_of(std::move(failures_)));
  if (is_cut_short_) throw reason();
}

// ---- the end ----

promise<> scope::children_ended() {
  if (asked_ == asked::daemons) asked_ = asked::nobody;  // those are gone
  if (children_.size() == daemons_) ask_all(asked::daemons);
  if (children_.empty()) return ready();
  auto* s = new detail::state<void>;
  s->set_producer(this);
  all_ended_ = detail::access::end(s);
  return detail::access::handle(s);
}

scope::hook_id scope::on_release(unique_function<promise<>()> f) {
  hooks_.emplace(++last_hook_, std::move(f));
  return last_hook_;
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
    const auto last = std::prev(hooks_.end());
    unique_function<promise<>()> hook = std::move(last->second);
    hooks_.erase(last);
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

// ---- looking at it ----

std::string scope::dump(std::size_t most) const {
  const time_point now = event_loop::current().now();
  const auto age = [now](time_point since) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now - since).count();
  };
  std::string text = fmt::format("scope {}: {} ms, {} children", name_.empty() ? "-" : name_,
                                 age(since_), children_.size());
  if (is_cancelled_) text += ", " + std::string(reason().what());
  text += '\n';
  std::size_t told = 0;
  for (const auto& c : children_) {
    if (told++ == most) {
      text += fmt::format("  and {} more\n", children_.size() - most);
      break;
    }
    text += fmt::format("  {} {}: {} ms, {}:{}{}\n", c->kind_ == kind::daemon ? "daemon" : "child",
                        c->name_.empty() ? "-" : c->name_, age(c->since_), file_of(c->site_),
                        c->site_.line(), c->is_asked_ ? ", asked to end" : "");
  }
  return text;
}

}  // namespace fermata
