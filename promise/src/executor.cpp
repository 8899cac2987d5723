// SPDX-License-Identifier: MIT
// Seats of an executor: all of it stands on the loop that made it, the threads only run jobs.
//
// Invariant: while an entry waits, no thread has room for the first of them; nobody overtakes it.

#include <fermata/promise/executor.hpp>

#include <algorithm>

namespace fermata {
namespace detail {

executor_room::executor_room(const executor_options& options)
    : free_(options.threads + (options.helps == helping::yes ? 1 : 0), whole),
      here_(options.threads) {
  if (free_.empty()) throw contract_error("cannot make an executor without threads or helping");
  for (std::size_t i = 0; i < options.threads; ++i) {
    loop_options of_thread;
    of_thread.when = options.when;
    threads_.push_back(std::make_unique<loop_thread>(std::move(of_thread)));
    letters_.push_back(threads_.back()->letters());
  }
}

// The thread with the most room; this loop only where no other has enough.
std::optional<executor_room::seat> executor_room::find(unsigned weight) {
  if (weight < 1 || weight > whole) {
    throw contract_error("the weight of a job is not within 1 to 100");
  }
  if (is_ended_) throw loop_closed();
  if (!waiting_.empty() && !is_seating_) return std::nullopt;
  const auto own = free_.begin() + static_cast<std::ptrdiff_t>(here_);
  auto best = std::max_element(free_.begin(), own);
  if (best == own || *best < weight) best = own;
  if (best == free_.end() || *best < weight) return std::nullopt;
  *best -= weight;
  ++running_;
  if (best == own) ++helped_;
  return seat(shared_from_this(), static_cast<std::size_t>(best - free_.begin()), weight);
}

promise<executor_room::seat> executor_room::wait(unsigned weight) {
  std::optional<seat> now;
  try {
    now = find(weight);
  } catch (...) {
    return rejected<seat>(std::current_exception());
  }
  if (now) return ready(std::move(*now));
  const auto place = waiting_.emplace(waiting_.end(), entry{weight, {}});
  auto made = make_task<seat>([this, place] {
    entry gone = std::move(*place);
    waiting_.erase(place);
    gone.settle.reject(detail::plain_cancelled());
    seat_waiting();
  });
  place->settle = std::move(made.settle);
  return std::move(made.future);
}

void executor_room::leave(std::size_t place, unsigned weight) {
  free_[place] += weight;
  --running_;
  if (place == here_) --helped_;
  seat_waiting();
}

void executor_room::seat_waiting() {
  if (is_seating_ || is_ended_) return;
  is_seating_ = true;
  while (!waiting_.empty()) {
    std::optional<seat> next = find(waiting_.front().weight);
    if (!next) break;
    entry first = std::move(waiting_.front());
    waiting_.pop_front();
    first.settle.resolve(std::move(*next));
  }
  is_seating_ = false;
}

// Ends the threads: jobs that run there answer with loop_closed.
void executor_room::end() {
  is_ended_ = true;
  while (!waiting_.empty()) {
    entry first = std::move(waiting_.front());
    waiting_.pop_front();
    first.settle.reject(std::make_exception_ptr(loop_closed()));
  }
  for (const auto& t : threads_) t->stop();
  threads_.clear();
}

const mailbox_ptr* executor_room::letters(std::size_t place) const noexcept {
  return place == here_ ? nullptr : &letters_[place];
}

executor_counts executor_room::counts() const noexcept {
  executor_counts now;
  now.threads = here_;
  now.running = running_;
  now.helped = helped_;
  now.waiting = waiting_.size();
  return now;
}

}  // namespace detail

executor::executor(const executor_options& options)
    : room_(std::make_shared<detail::executor_room>(options)) {}

executor::~executor() { room_->end(); }

}  // namespace fermata
