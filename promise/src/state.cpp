// SPDX-License-Identifier: MIT
// Settling, forwarding, cancelling and the release of long chains without recursion.

#include <fermata/promise/detail/some_error.hpp>
#include <fermata/promise/promise.hpp>

namespace fermata {

namespace detail {

void refuse_empty() { throw contract_error("a promise that was moved from is used"); }

void refuse_second_use() { throw contract_error("a promise is resolved twice"); }

std::exception_ptr waits_for_itself() {
  return std::make_exception_ptr(contract_error("a promise waits for itself"));
}

// ---- settling ----

// Stands in the ready queue for the waiters of a state that are left, so that a step never wakes
// more than a batch. Each batch goes to the front of the queue: the order is as if all had been
// appended at once.
class wake_group final : public ready_node, public in_cached_block {
public:
  explicit wake_group(state_base& s) noexcept : state_(s) {
    s.add_ref();
    event_loop::current().adopt(*this);
    left_.append(s.waiters_);
  }
  void run() noexcept override {
    node_list first;
    for (std::size_t i = 0; i < batch && !left_.empty(); ++i) first.push_back(*left_.pop_front());
    if (!left_.empty()) event_loop::make_ready_first(*this);
    while (ready_node* n = first.pop_back()) {
      static_cast<waiter&>(*n).wake(state_, true);
    }
    if (!is_linked()) delete this;
  }
  void lost() noexcept override {
    while (ready_node* n = left_.pop_front()) n->lost();
    delete this;
  }
  ~wake_group() { state_.release(); }

private:
  state_base& state_;
  node_list left_;
};

void state_base::wake_all() noexcept {
  std::size_t n = 0;
  for (; n < batch && !waiters_.empty(); ++n) wake(static_cast<waiter&>(*waiters_.pop_front()));
  if (waiters_.empty()) return;
  auto* rest = new (std::nothrow) wake_group(*this);
  if (rest != nullptr) {
    event_loop::make_ready(*rest);
  } else {
    while (ready_node* w = waiters_.pop_front()) wake(static_cast<waiter&>(*w));
  }
}

waiters_now::waiters_now(state_base* s) noexcept : state_(s) {
  if (s == nullptr) return;
  s->add_ref();
  waiters_.append(s->waiters_);
}

waiters_now::~waiters_now() {
  if (state_ == nullptr) return;
  state_->waiters_.append(waiters_);
  if (!state_->is_pending()) state_->wake_all();
  state_->release();
}

// The first batch; the destructor queues the rest.
void waiters_now::run() noexcept {
  for (std::size_t i = 0; i < batch && !waiters_.empty(); ++i) {
    auto& w = static_cast<waiter&>(*waiters_.pop_front());
    if (w.counts_) {
      w.wake(*state_, false);
      continue;
    }
    state_->add_ref();
    w.is_ready_ = true;
    event_loop::run_nested(w);
  }
}

bool state_base::reject(std::exception_ptr e, rejection_path path) noexcept {
  if (!is_pending()) return false;
  std::construct_at(&rejection_, rejection{some_error(std::move(e)), std::move(path)});
  settled(phase::rejected);
  return true;
}

rejection_path::rejection_path(std::source_location site, const rejection_path& before) noexcept {
  constexpr std::uint32_t longest = 64;  // what comes after tells nobody more
  rejection_path rest(before);
  const std::uint32_t length = rest.empty() ? 0 : rest.last_->length;
  last_ = length < longest ? new (std::nothrow) step : nullptr;
  if (last_ == nullptr) {
    last_ = rest.take();
    return;
  }
  last_->site = site;
  last_->length = length + 1;
  last_->before = rest.take();
}

rejection_path rejection_path::before() const noexcept {
  if (last_->before != nullptr) ++last_->before->count;
  return rejection_path(last_->before);
}

void rejection_path::release() noexcept {
  for (step* h = std::exchange(last_, nullptr); h != nullptr && --h->count == 0;) {
    step* const next = h->before;
    delete h;
    h = next;
  }
}

// ---- forwarding ----

void state_base::forward_to(state_base& outer) noexcept {
  outer.producer_ = producer_;
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

namespace {

// The states of a thread that wait to be destroyed.
struct graveyard {
  state_base* dead = nullptr;
  bool is_busy = false;  // a state is being destroyed, or a gravedigger stands in the queue
};
[[gnu::tls_model("initial-exec")]] thread_local constinit graveyard graves;

}  // namespace

// Goes on where a step has buried its batch.
class gravedigger final : public ready_node, public in_cached_block {
public:
  void run() noexcept override { dig(); }
  void lost() noexcept override { dig(); }

private:
  void dig() noexcept {
    delete this;
    state_base::bury_rest();
  }
};

// States that die while another one is destroyed wait their turn, so that a chain of any length
// needs no stack, and none of them needs a long step.
void state_base::bury(state_base& s) noexcept {
  if (s.phase_ == phase::resolved && s.size_class_ != 0) [[likely]] {
    block_cache::give_back_to(s.size_class_, &s);
  } else {
    bury_with_end(s);
  }
}

void state_base::bury_with_end(state_base& s) noexcept {
  if (s.tells_ && s.is_pending()) s.on_settled();  // nobody may reach it any more
  graveyard& g = graves;
  if (g.is_busy) {
    s.next_dead_ = g.dead;
    g.dead = &s;
    return;
  }
  g.is_busy = true;
  if (s.phase_ == phase::resolved) [[likely]] {
    delete &s;
  } else {
    destroy(s);
  }
  if (g.dead != nullptr) [[unlikely]] {
    bury_rest();
  } else {
    g.is_busy = false;
  }
}

void state_base::bury_rest() noexcept {
  event_loop* loop = running_loop;
  if (loop != nullptr && loop->is_ending()) loop = nullptr;
  for (std::size_t n = 0; graves.dead != nullptr; ++n) {
    if (n == batch && loop != nullptr) {
      if (auto* digger = new (std::nothrow) gravedigger) {
        loop->enqueue(*digger);
        return;
      }
    }
    destroy(*std::exchange(graves.dead, graves.dead->next_dead_));
  }
  graves.is_busy = false;
}

void state_base::destroy(state_base& s) noexcept {
  if (s.phase_ == phase::rejected && !s.observed_ && !is_cancelled(s.rejection_.error)) {
    if (event_loop* loop = event_loop::find_current()) loop->report_unobserved(s.rejection_.error);
  }
  while (ready_node* n = s.waiters_.pop_front()) {
    auto& w = static_cast<waiter&>(*n);
    w.upstream_ = nullptr;
    w.drop();
  }
  if (s.phase_ == phase::forwarded) s.target_->release();
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

namespace {

// Follows a chain on from where a step has done its batch.
class cancel_walk final : public ready_node, public in_cached_block {
public:
  explicit cancel_walk(state_base& s) noexcept : state_(s) { s.add_ref(); }
  ~cancel_walk() { state_.release(); }
  void run() noexcept override {
    cancel_state(&state_);
    delete this;
  }
  void lost() noexcept override { delete this; }

private:
  state_base& state_;
};

}  // namespace

void cancel_state(state_base* s) noexcept {
  for (std::size_t n = 0; s != nullptr; ++n) {
    canceller* producer = s->root().producer();
    if (producer == nullptr) return;
    if (n == batch) {
      event_loop* const loop = running_loop;
      auto* walk = loop == nullptr ? nullptr : new (std::nothrow) cancel_walk(s->root());
      if (walk != nullptr) {
        loop->enqueue(*walk);
        return;
      }
    }
    s = producer->request_cancel();
  }
}

state_base* cancel_or_leave(waiter& w) noexcept {
  state_base& s = *w.upstream();
  if (s.has_one_waiter()) return &s;
  w.let_go();
  return nullptr;
}

}  // namespace detail
}  // namespace fermata
