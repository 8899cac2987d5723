// SPDX-License-Identifier: MIT
// Counting members in and out, in pieces.
//
// Invariants: (1) a member counts once: where it had settled before it started, when its promise
// settles, or when it leaves; (2) the gather holds itself until finish(), which is its last act;
// (3) while a pass is at work (is_busy_) nothing that its members cause begins another one.

#include <fermata/promise/detail/gather.hpp>

#include <algorithm>

namespace fermata::detail {

namespace {

constexpr std::size_t piece = 128;  // members between two checks of a run from the queue
constexpr std::chrono::nanoseconds cost_of_piece = std::chrono::microseconds(8);

}  // namespace

// ---- members ----

void gather_member::run() noexcept {
  let_go();
  owner_->end_of(*this);
}

void gather_member::drop() noexcept { owner_->end_of(*this); }

void gather_member::counted() noexcept { owner_->count_one(*this); }

gather_member* gather::find(std::size_t i) noexcept {
  const std::size_t slice = i / gather_slice;
  if (slice == 0) return first_ == nullptr ? nullptr : first_ + i;
  if (slice > further_.size() || further_[slice - 1] == nullptr) return nullptr;
  return &further_[slice - 1][i % gather_slice];
}

// The first of a slice makes it: a slice without pending members has none.
gather_member& gather::make(std::size_t i) {
  const std::size_t slice = i / gather_slice;
  const std::size_t begin = slice * gather_slice;
  const std::size_t length = std::min(gather_slice, count_ - begin);
  if (slice == 0) {
    if (first_ == nullptr) {
      made_ = std::make_unique<gather_member[]>(length);
      first_ = made_.get();
    }
    return first_[i];
  }
  if (further_.empty()) further_.resize((count_ - 1) / gather_slice);
  auto& members = further_[slice - 1];
  if (members == nullptr) members = std::make_unique<gather_member[]>(length);
  return members[i - begin];
}

// ---- the passes ----

void gather::begin() noexcept {
  event_loop::current().adopt(*this);
  drive();
}

void gather::start(std::size_t i, state_base& s) noexcept {
  if (!s.is_pending()) {
    end(i);
    return;
  }
  if (rest_ == rest::leave) {
    --remaining_;
    return;
  }
  gather_member& m = make(i);
  m.owner_ = this;
  m.index_ = static_cast<std::uint32_t>(i);
  if (only_counts_) m.counts_at_once();
  m.wait_for(s);
}

// A cancel may run hooks of users, and nested gathers cancel each other.
void gather::ask(std::size_t i) noexcept {
  gather_member* m = find(i);
  if (m == nullptr || !m->is_waiting()) return;
  if (rest_ == rest::leave) {
    m->let_go();
    m->has_ended_ = true;
    --remaining_;
  } else if (state_base* s = cancel_or_leave(*m)) {
    cancel_state(s);
  } else {
    m->has_ended_ = true;
    end(i);
  }
}

void gather::end(std::size_t i) noexcept {
  --remaining_;
  const rest then = ended(i);
  if (then == rest::wait || rest_ != rest::wait) return;
  rest_ = then;
  asked_ = 0;
}

void gather::end_of(gather_member& m) noexcept {
  if (std::exchange(m.has_ended_, true)) return;
  end(m.index_);
  drive();
}

// The last one sends the gather through the queue: nothing else runs where a promise is settled.
void gather::count_one(gather_member& m) noexcept {
  if (std::exchange(m.has_ended_, true)) return;
  --remaining_;
  if (remaining_ == 0 && !is_busy_ && !is_linked()) event_loop::make_ready(*this);
}

gather::progress gather::now() const noexcept {
  if (started_ < count_ || has_to_ask()) return progress::more;
  if (remaining_ > 0) return progress::waiting;
  return visited_ < count_ || kept_ > gather_slice ? progress::more : progress::done;
}

void gather::step(std::size_t left) noexcept {
  const auto advance = [&left, this](std::size_t& pass) {
    const std::size_t from = pass;
    pass = std::min(count_, from + left);
    left -= pass - from;
    return from;
  };
  if (started_ < count_) {
    const std::size_t from = advance(started_);
    start_range(from, started_);
  }
  while (left > 0 && started_ == count_ && has_to_ask()) {
    --left;
    ask(asked_++);  // which may begin the pass anew
  }
  if (left == 0 || remaining_ > 0 || started_ < count_) return;
  if (visited_ < count_) {
    const std::size_t from = advance(visited_);
    visit_range(from, visited_);
  } else if (kept_ > gather_slice) {
    release_some(left);
  }
}

// From the back, where a vector is cut; the first slice goes with the gather itself.
void gather::release_some(std::size_t most) noexcept {
  kept_ -= std::min(most, kept_ - gather_slice);
  shrink(kept_);
  while (further_.size() > (kept_ - 1) / gather_slice) further_.pop_back();
}

// One step here and now; what is left goes on from the queue.
void gather::drive() noexcept {
  if (is_busy_ || is_linked()) return;
  event_loop* const loop = event_loop::find_current();
  if (loop == nullptr) {
    end_here();
    return;
  }
  is_busy_ = true;
  event_loop::task_state& task = loop->task();
  ++task.nesting;
  step(gather_slice);
  --task.nesting;
  is_busy_ = false;
  if (now() == progress::done) {
    finish();
  } else if (now() == progress::more) {
    loop->enqueue(*this);
  }
}

// There is no loop any more in which it could go on.
void gather::end_here() noexcept {
  if (std::exchange(is_busy_, true)) return;
  do {
    step(gather_slice);
  } while (now() == progress::more);
  is_busy_ = false;
  if (now() == progress::done) finish();
}

void gather::run() noexcept {
  event_loop& loop = event_loop::current();
  is_busy_ = true;
  for (;;) {
    step(piece);
    if (now() != progress::more) break;
    if (!due(cost_of_piece)) continue;
    is_busy_ = false;
    loop.give_way(*this);
    return;
  }
  is_busy_ = false;
  if (now() == progress::done) finish();
}

// A second request asks again those that have not ended; one that is under way goes on. Gathers
// that are nested deeper than the stack may be go on from the queue.
state_base* gather::request_cancel() noexcept {
  is_asked_ = true;
  if (rest_ == rest::leave) return nullptr;
  if (rest_ == rest::wait || (asked_ == count_ && !is_busy_)) asked_ = 0;
  rest_ = rest::cancel;
  event_loop* const loop = event_loop::find_current();
  if (loop == nullptr || loop->task().nesting < nesting_limit) {
    drive();
  } else if (!is_busy_ && !is_linked()) {
    loop->enqueue(*this);
  }
  return nullptr;
}

// ---- errors ----

void error_sum::add_error(std::exception_ptr e) {
  if (is_cancelled(e)) {
    has_cancelled_ = true;
  } else {
    errors_.push_back(std::move(e));
  }
}

std::exception_ptr error_sum::take() {
  if (!errors_.empty()) return sum_of(std::move(errors_));
  return has_cancelled_ ? plain_cancelled() : nullptr;
}

}  // namespace fermata::detail
