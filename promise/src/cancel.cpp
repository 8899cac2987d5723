// SPDX-License-Identifier: MIT
// Sources, tokens and who hears of them.
//
// Invariant: a hook is told once, and not after it has left; what it does may end itself, other
// hooks or the source.

#include <fermata/promise/cancel.hpp>

namespace fermata {

namespace detail {

namespace {

constexpr int told_at_once = 64;
constexpr std::chrono::nanoseconds cost_of_hook = std::chrono::microseconds(1);

class token_wait final : public state<void>,
                         private cancel_hook,
                         private canceller,
                         private loop_resident {
public:
  explicit token_wait(std::shared_ptr<cancel_core> core) {
    set_producer(this);
    tell_when_settled();
    enter(std::move(core));
    move_in(event_loop::current());
  }

private:
  void source_cancelled() noexcept override {
    typed_root().resolve();
    release();
  }
  void loop_ends() noexcept override { end(std::make_exception_ptr(loop_closed())); }
  state_base* request_cancel() noexcept override {
    end(detail::plain_cancelled());
    return nullptr;
  }
  void end(std::exception_ptr e) noexcept {
    leave();
    root().reject(std::move(e));
    release();
  }
  void on_settled() noexcept override { move_out(); }
};

}  // namespace

// ---- hooks ----

void cancel_hook::enter(std::shared_ptr<cancel_core> core) noexcept {
  core_ = std::move(core);
  previous_ = core_->last_;
  (previous_ == nullptr ? core_->first_ : previous_->next_) = this;
  core_->last_ = this;
  is_listed_ = true;
}

void cancel_hook::leave() noexcept {
  if (!std::exchange(is_listed_, false)) return;
  (previous_ == nullptr ? core_->first_ : previous_->next_) = next_;
  (next_ == nullptr ? core_->last_ : next_->previous_) = previous_;
  next_ = previous_ = nullptr;
  const std::shared_ptr<cancel_core> last = std::move(core_);  // it may end here
}

// ---- the core ----

void cancel_core::raise() const { throw why_.empty() ? cancelled() : cancelled(why_); }

bool cancel_core::cancel(std::string_view why) {
  if (std::exchange(is_cancelled_, true)) return false;
  const std::shared_ptr<cancel_core> self = shared_from_this();
  why_ = why;
  if (stop_) stop_->request_stop();
  event_loop* const loop = event_loop::find_current();
  event_loop::task_state outside;
  event_loop::task_state& task = loop == nullptr ? outside : loop->task();
  const bool is_deep = task.nesting >= nesting_limit;
  ++task.nesting;
  const bool more = is_deep || tell_some(told_at_once);
  --task.nesting;
  if (!more || first_ == nullptr || is_linked()) return true;
  if (loop == nullptr) {
    lost();
  } else {
    self_ = self;
    loop->enqueue(*this);
  }
  return true;
}

// Whether somebody is left.
bool cancel_core::tell_some(int most) noexcept {
  for (; most > 0 && first_ != nullptr; --most) {
    cancel_hook& hook = *first_;
    hook.leave();  // the caller keeps this
    hook.source_cancelled();
  }
  return first_ != nullptr;
}

void cancel_core::run() noexcept {
  const std::shared_ptr<cancel_core> self = std::move(self_);
  while (tell_some(1)) {
    if (!due(cost_of_hook)) continue;
    self_ = self;
    event_loop::current().give_way(*this);
    return;
  }
}

void cancel_core::lost() noexcept {
  const std::shared_ptr<cancel_core> self = shared_from_this();
  self_.reset();
  while (tell_some(told_at_once)) {
  }
}

void cancel_core::follow(const std::shared_ptr<cancel_core>& parent) {
  if (parent == nullptr) return;
  if (parent->is_cancelled()) {
    cancel(parent->reason());
  } else {
    parent_ = std::make_unique<link>(*this, parent);
  }
}

cancel_core::link::link(cancel_core& child, const std::shared_ptr<cancel_core>& parent)
    : child_(child), parent_(parent) {
  enter(parent);
}

void cancel_core::link::source_cancelled() noexcept { child_.cancel(parent_->reason()); }

void cancel_core::follow(const std::stop_token& outer) {
  if (outer.stop_requested()) {
    cancel("a stop was requested");
    return;
  }
  outer_ = std::make_unique<std::stop_callback<poster>>(
      outer, poster{event_loop::current().letters(), weak_from_this()});
}

void cancel_core::poster::operator()() const {
  letters->post([weak = core] {
    if (const std::shared_ptr<cancel_core> alive = weak.lock()) {
      alive->cancel("a stop was requested");
    }
  });
}

std::stop_token cancel_core::stop_token() {
  if (!stop_) {
    stop_.emplace();
    if (is_cancelled_) stop_->request_stop();
  }
  return stop_->get_token();
}

promise<> wait_for_cancel(std::shared_ptr<cancel_core> core) {
  state<void>* s = new token_wait(std::move(core));
  return access::handle(s);
}

}  // namespace detail

// ---- tokens ----

promise<> cancel_token::when_cancelled() const {
  if (core_ == nullptr) return never();
  return is_cancelled() ? ready() : detail::wait_for_cancel(core_);
}

std::stop_token cancel_token::stop_token() const {
  return core_ == nullptr ? std::stop_token() : core_->stop_token();
}

cancel_source::cancel_source() : core_(std::make_shared<detail::cancel_core>()) {}

cancel_source::cancel_source(const cancel_token& parent) : cancel_source() {
  core_->follow(parent.core_);
}

cancel_source::cancel_source(const std::stop_token& outer) : cancel_source() {
  core_->follow(outer);
}

bool cancel_source::cancel(std::string_view why) {
  const std::shared_ptr<detail::cancel_core> kept = core_;  // a callback may end this source
  return kept->cancel(why);
}

cancel_callback::cancel_callback(const cancel_token& token, unique_function<void()> f)
    : call_(std::move(f)) {
  if (token.core_ == nullptr) return;
  if (token.is_cancelled()) {
    source_cancelled();
  } else {
    enter(token.core_);
  }
}

// The callback may end itself.
void cancel_callback::source_cancelled() noexcept {
  unique_function<void()> call = std::move(call_);
  if (call) detail::call_hook(call);
}

}  // namespace fermata
