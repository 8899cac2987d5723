// SPDX-License-Identifier: MIT
// A heap whose nodes know their place, so that a cancel takes its entry out at once. Each has four
// children: half as many levels as with two, and so half as many nodes whose place is written.

#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/timer.hpp>

#include <algorithm>

namespace fermata {
namespace {

constexpr std::size_t arity = 4;

}  // namespace

timer_heap::~timer_heap() {
  for (const entry& e : entries_) e.node->index_ = timer_node::none;
}

void timer_heap::place(std::size_t i, const entry& e) noexcept {
  entries_[i] = e;
  e.node->index_ = static_cast<std::uint32_t>(i);
}

void timer_heap::sift_up(std::size_t i, entry e) noexcept {
  while (i > 0) {
    const std::size_t parent = (i - 1) / arity;
    if (!before(e, entries_[parent])) break;
    place(i, entries_[parent]);
    i = parent;
  }
  place(i, e);
}

// Of an entry that has one at least.
std::size_t timer_heap::earliest_child(std::size_t i) const noexcept {
  const std::size_t first = arity * i + 1;
  const std::size_t end = std::min(first + arity, entries_.size());
  std::size_t best = first;
  for (std::size_t child = first + 1; child < end; ++child) {
    if (before(entries_[child], entries_[best])) best = child;
  }
  return best;
}

void timer_heap::sift_down(std::size_t i, entry e) noexcept {
  while (arity * i + 1 < entries_.size()) {
    const std::size_t child = earliest_child(i);
    if (!before(entries_[child], e)) break;
    place(i, entries_[child]);
    i = child;
  }
  place(i, e);
}

void timer_heap::start(timer_node& n, time_point deadline) {
  if (n.is_waiting()) cancel(n);
  entries_.push_back({});
  n.heap_ = this;
  n.order_ = started_++;
  sift_up(entries_.size() - 1, entry{deadline, &n});
}

void timer_heap::remove(std::size_t i) noexcept {
  entries_[i].node->index_ = timer_node::none;
  const entry last = entries_.back();
  entries_.pop_back();
  if (i == entries_.size()) return;
  const bool up = i > 0 && before(last, entries_[(i - 1) / arity]);
  if (up) {
    sift_up(i, last);
  } else {
    sift_down(i, last);
  }
}

void timer_heap::cancel(timer_node& n) noexcept {
  if (n.is_waiting()) remove(n.index_);
}

timer_node* timer_heap::pop_due(time_point now) noexcept {
  if (entries_.empty() || entries_.front().deadline > now) return nullptr;
  timer_node* n = entries_.front().node;
  remove(0);
  return n;
}

timer_node* timer_heap::pop_any() noexcept {
  if (entries_.empty()) return nullptr;
  timer_node* n = entries_.back().node;
  remove(entries_.size() - 1);
  return n;
}

timer::timer(event_loop& loop,
             std::chrono::nanoseconds delay,
             unique_function<void()> f,
             std::source_location site)
    : call_(std::move(f)), site_(site) {
  loop.start(*this, loop.after(delay));
}

void timer::run() noexcept {
  unique_function<void()> once = std::move(call_);  // `f` may destroy this timer
  detail::note_site(site_);
  try {
    once();
  } catch (...) {
    event_loop::current().report_unobserved(std::current_exception());
  }
}

}  // namespace fermata
