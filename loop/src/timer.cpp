// SPDX-License-Identifier: MIT
// A binary heap whose nodes know their place, so that a cancel takes its entry out at once.

#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/timer.hpp>

namespace fermata {

timer_heap::~timer_heap() {
  for (const entry& e : entries_) e.node->index_ = timer_node::none;
}

void timer_heap::place(std::size_t i, const entry& e) noexcept {
  entries_[i] = e;
  e.node->index_ = i;
}

void timer_heap::sift_up(std::size_t i, entry e) noexcept {
  while (i > 0) {
    const std::size_t parent = (i - 1) / 2;
    if (!before(e, entries_[parent])) break;
    place(i, entries_[parent]);
    i = parent;
  }
  place(i, e);
}

void timer_heap::sift_down(std::size_t i, entry e) noexcept {
  for (;;) {
    std::size_t child = 2 * i + 1;
    if (child >= entries_.size()) break;
    if (child + 1 < entries_.size() && before(entries_[child + 1], entries_[child])) ++child;
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
  sift_up(entries_.size() - 1, entry{deadline, started_++, &n});
}

void timer_heap::remove(std::size_t i) noexcept {
  entries_[i].node->index_ = timer_node::none;
  const entry last = entries_.back();
  entries_.pop_back();
  if (i == entries_.size()) return;
  const bool up = i > 0 && before(last, entries_[(i - 1) / 2]);
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
