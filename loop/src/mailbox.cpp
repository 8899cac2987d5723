// SPDX-License-Identifier: MIT
// The way into a loop from other threads: a linked list that posters append to and the loop takes
// the oldest from (Vyukov's intrusive queue: many producers, one consumer).
//
// A poster makes its letter the newest one, then links the one before to it; between the two steps
// the list is not empty, but `take` finds nothing behind the gap. The mark nobody_ keeps the list
// from running empty; end_, once it is the newest, lets no letter behind it.
//
// No wake-up is lost, and none is sent to a loop that is awake. A poster (P1) makes its letter the
// newest, then (P2) reads is_asleep_. A loop that is about to sleep (L1) sets is_asleep_, then (L2)
// reads the newest, and sleeps only if that is nobody_. All four are sequentially consistent, so
// they stand in one order: either P1 comes before L2 and the loop sees the letter, or L2 before P1,
// hence L1 before P2, and the poster sees a sleeper. Of several such posters one swaps is_asleep_
// and makes the system call. An awake loop reads the list at every look and after every poll.
// Outside of run() and step() a loop counts as asleep: a host that waits for its descriptor is
// woken.

#include "mailbox.hpp"

namespace fermata {

// ---- the posters' side ----

bool mailbox::append(letter& l) noexcept {
  l.next_.store(nullptr, std::memory_order_relaxed);
  letter* newest = newest_.load(std::memory_order_relaxed);
  do {
    if (newest == &end_) return false;
  } while (!newest_.compare_exchange_weak(newest, &l, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
  newest->next_.store(&l, std::memory_order_release);
  return true;
}

bool mailbox::send(letter& l) noexcept {
  if (!append(l)) return false;
  if (is_asleep_.load(std::memory_order_seq_cst) && is_asleep_.exchange(false)) wake();
  return true;
}

bool mailbox::is_closed() const noexcept {
  return newest_.load(std::memory_order_acquire) == &end_;
}

// The lock keeps the poller: the loop may end between the push and the wake-up.
void mailbox::wake() noexcept {
  const std::lock_guard lock(waking_);
  if (poller_ != nullptr) poller_->wake();
}

// ---- the loop's side ----

// False: letters have come, and the loop stays awake.
bool mailbox::may_sleep() noexcept {
  is_asleep_.store(true, std::memory_order_seq_cst);
  if (!has_letters()) return true;
  stay_awake();
  return false;
}

// The oldest letter; nullptr where there is none, or its poster has not linked it yet.
letter* mailbox::take() noexcept {
  letter* oldest = oldest_;
  letter* next = oldest->next_.load(std::memory_order_acquire);
  if (oldest == &nobody_) {
    if (next == nullptr) return nullptr;
    oldest_ = oldest = next;
    if (oldest == &end_) return nullptr;
    next = oldest->next_.load(std::memory_order_acquire);
  }
  if (next == nullptr && newest_.load(std::memory_order_acquire) == oldest) {
    static_cast<void>(append(nobody_));  // so that the last one can leave
    next = oldest->next_.load(std::memory_order_acquire);
  }
  if (next == nullptr) return nullptr;
  oldest_ = next;
  return oldest;
}

// Afterwards `take` gives what came before, and the list ends with end_.
void mailbox::close() noexcept {
  static_cast<void>(append(end_));
  const std::lock_guard lock(waking_);
  poller_ = nullptr;
}

void mailbox::report(std::exception_ptr e) noexcept {
  event_loop::current().report_unobserved(std::move(e));
}

void event_loop::letter_node::collect() noexcept {
  if (!loop.mailbox_->has_letters() || is_linked()) return;
  const context_ptr own = loop.exchange_context(loop.root_);
  loop.enqueue(*this);
  loop.exchange_context(own);
}

// Quick letters run one after the other until something is due; after one that runs a user's code
// the queue decides. While the loop ends, posters do not keep it from its end.
void event_loop::letter_node::run() noexcept {
  if (loop.is_ending_) {
    deliver_last();
    return;
  }
  bool goes_on = true;
  while (goes_on) {
    letter* const l = loop.mailbox_->take();
    if (l == nullptr) break;
    goes_on = l->is_quick_;
    l->deliver();
    ++loop.metrics_.posts;
    goes_on = goes_on && !due();
  }
  collect();
}

void event_loop::letter_node::deliver_last() noexcept {
  for (int i = 0; i < letters_a_round; ++i) {
    letter* const l = loop.mailbox_->take();
    if (l == nullptr) return;
    l->deliver();
    ++loop.metrics_.posts;
  }
}

// A letter may post when it is dropped, and is refused.
void event_loop::close_mailbox() noexcept {
  mailbox_->close();
  while (mailbox_->oldest_ != &mailbox_->end_) {
    if (letter* const l = mailbox_->take()) l->drop();
  }
}

}  // namespace fermata
