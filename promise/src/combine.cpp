// SPDX-License-Identifier: MIT
// Counting members in and out.
//
// Invariant: a member counts once, when its promise has settled or when a cancel made it leave.

#include <fermata/promise/combine.hpp>

namespace fermata::detail {

void gather_member::run() noexcept {
  let_go();
  owner_->end(*this);
}

void gather_member::drop() noexcept { owner_->end(*this); }

void gather::start(std::size_t i, state_base& s) noexcept {
  gather_member& m = members_[i];
  m.owner_ = this;
  if (s.is_pending()) m.wait_for(s);
}

// What had settled before ends only now: by that pick may cancel all the others.
void gather::started() noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    gather_member& m = members_[i];
    if (m.upstream() == nullptr && !m.has_ended_) end(m);
  }
  is_starting_ = false;
  finish_if_complete();
}

void gather::end(gather_member& m) noexcept {
  if (m.has_ended_) return;
  m.has_ended_ = true;
  --remaining_;
  const bool was_starting = std::exchange(is_starting_, true);  // `ended` may end others
  ended(static_cast<std::size_t>(&m - members_.get()));
  is_starting_ = was_starting;
  finish_if_complete();
}

void gather::finish_if_complete() noexcept {
  if (remaining_ > 0 || is_starting_) return;
  finish();
  delete this;
}

state_base* gather::request_cancel() noexcept {
  const bool was_starting = std::exchange(is_starting_, true);
  for (std::size_t i = 0; i < count_; ++i) {
    gather_member& m = members_[i];
    if (m.has_ended_ || !m.is_waiting()) continue;
    if (state_base* s = cancel_or_leave(m)) {
      cancel_state(s);
    } else {
      end(m);
    }
  }
  is_starting_ = was_starting;
  finish_if_complete();
  return nullptr;
}

void error_sum::add_error(std::exception_ptr e) {
  if (is_cancelled(e)) {
    has_cancelled_ = true;
  } else {
    errors_.push_back(std::move(e));
  }
}

std::exception_ptr error_sum::take() {
  if (errors_.size() == 1) return errors_.front();
  if (!errors_.empty()) return std::make_exception_ptr(multiple_errors(std::move(errors_)));
  return has_cancelled_ ? std::make_exception_ptr(cancelled()) : nullptr;
}

}  // namespace fermata::detail
