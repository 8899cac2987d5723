// SPDX-License-Identifier: MIT
// Waits that end otherwise than by a grant of one, and grants to many in steps.
//
// Invariants: (1) `loop_` knows this list from the first wait on, so a node in the list always
// hears of the end of its loop; (2) who is in the rest has been granted what it waits for, and its
// round is past; (3) the rest is in the ready queue while anything is left of it.

#include <fermata/promise/detail/state.hpp>
#include <fermata/promise/detail/wait_queue.hpp>
#include <fermata/promise/errors.hpp>

#include <new>

namespace fermata::detail {

std::exception_ptr error_of(wait_stage s) {
  switch (s) {
    case wait_stage::cancelled:
      return detail::plain_cancelled();
    case wait_stage::loop_closed:
      return std::make_exception_ptr(fermata::loop_closed());
    case wait_stage::two_loops:
      return std::make_exception_ptr(contract_error("tasks of two loops wait for the same thing"));
    default:
      return std::make_exception_ptr(contract_error("what is waited for was destroyed"));
  }
}

void throw_end_of(wait_stage s) { std::rethrow_exception(error_of(s)); }

// ---- grants to many ----

// Those of a grant to all who have not heard yet, and a continuation of the list's own.
class wait_queue_rest final : public ready_node {
public:
  explicit wait_queue_rest(wait_queue& of) noexcept : queue_(of) {}

  void take(node_list& all) noexcept { granted_.append(all); }
  [[nodiscard]] bool empty() const noexcept { return granted_.empty(); }
  void call_later() noexcept { is_called_ = true; }
  void stand_ready(event_loop& loop) noexcept {
    if (!is_linked()) loop.enqueue(*this);
  }
  // Promises are settled in order; tasks go to the front of the queue, the last one first.
  void run() noexcept override {
    const bool is_called = std::exchange(is_called_, false);
    node_list tasks;
    for (std::size_t i = 0; i < batch && !granted_.empty(); ++i) give(first(), tasks);
    if (!granted_.empty()) event_loop::make_ready_first(*this);
    while (ready_node* n = tasks.pop_back()) event_loop::make_ready_first(*n);
    if (granted_.empty()) queue_.all_have_heard();
    if (is_called) queue_.go_on();  // the list may be gone afterwards
  }
  void lost() noexcept override { hurry(); }
  void hurry() noexcept {
    unlink();
    node_list tasks;
    while (!granted_.empty()) give(first(), tasks);
    while (ready_node* n = tasks.pop_front()) event_loop::make_ready(*n);
    queue_.all_have_heard();
  }

private:
  wait_node& first() noexcept { return static_cast<wait_node&>(*granted_.pop_front()); }
  void give(wait_node& n, node_list& tasks) noexcept {
    if (!queue_.serve(n)) return;
    n.stage_ = wait_stage::granted;
    if (n.is_promise_) {
      n.run();
    } else {
      tasks.push_back(n);
    }
  }

  wait_queue& queue_;
  node_list granted_;
  bool is_called_ = false;
};

wait_queue::wait_queue() noexcept = default;

wait_queue::~wait_queue() {
  hurry();
  end_all(wait_stage::destroyed);
}

void wait_queue::grant_all() noexcept {
  if (empty()) return;
  node_list all;
  all.append(nodes_);
  size_ = 0;
  ++round_;  // what is settled here may cancel those who come next: too late
  const bool stands_behind = is_behind();
  for (std::size_t n = 0; !all.empty(); ++n) {
    if ((n == batch || stands_behind) && keep_for_later(all)) return;
    auto& node = static_cast<wait_node&>(*all.pop_front());
    if (serve(node)) node.end(wait_stage::granted);
  }
}

bool wait_queue::is_behind() const noexcept { return rest_ != nullptr && !rest_->empty(); }

bool wait_queue::keep_for_later(node_list& all) noexcept {
  wait_queue_rest* const rest = loop_ == nullptr ? nullptr : find_rest();
  if (rest == nullptr) return false;
  rest->take(all);
  rest->stand_ready(*loop_);
  return true;
}

wait_queue_rest* wait_queue::find_rest() noexcept {
  if (rest_ == nullptr) rest_.reset(new (std::nothrow) wait_queue_rest(*this));
  return rest_.get();
}

bool wait_queue::go_on_later() noexcept {
  wait_queue_rest* const rest = loop_ == nullptr ? nullptr : find_rest();
  if (rest == nullptr) return false;
  rest->call_later();
  rest->stand_ready(*loop_);
  return true;
}

void wait_queue::hurry() noexcept {
  if (rest_ != nullptr) rest_->hurry();
}

// ---- other ends ----

bool wait_queue::move_to(event_loop& loop) noexcept {
  if (!empty()) return false;
  move_out();
  move_in(loop);
  loop_ = &loop;
  return true;
}

void wait_queue::loop_ends() noexcept {
  loop_ = nullptr;
  end_all(wait_stage::loop_closed);
}

// Those that come meanwhile stay: what is woken here runs later, but a value's destructor may wait.
void wait_queue::end_all(wait_stage s) noexcept {
  node_list all;
  all.append(nodes_);
  size_ = 0;
  ++round_;
  while (ready_node* n = all.pop_front()) static_cast<wait_node*>(n)->end(s);
}

wait_node* wait_queue::skip_unwanted() noexcept {
  while (!empty() && !front()->is_wanted()) leave(*front(), wait_stage::cancelled);
  return front();
}

}  // namespace fermata::detail
