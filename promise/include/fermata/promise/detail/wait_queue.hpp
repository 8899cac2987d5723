// SPDX-License-Identifier: MIT
/// The list in which operations wait: what channels, locks and the like are built from.
///
/// Shape:  intrusive, first in, first out. One that waits is granted what it waits for by whoever
///         gives it (hand-over), or leaves: cancelled, at the end of its loop, or because the list
///         is destroyed. It is off the list by then, so that no hole is left.
/// Many:   a grant to all reaches the first 256 at once. The others do not wait any more either (a
///         cancel comes too late for them), but hear of it in steps of 256 that stand before all
///         that is made ready later: their promises are pending until then.
/// Thread: loop. One list is waited in on one loop at a time.
/// Cost:   O(1) and no allocation; one the first time that more than 256 are granted at once.
#pragma once

#include <fermata/loop/event_loop.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace fermata::detail {

class wait_queue;
class wait_queue_rest;

enum class wait_stage : std::uint8_t {
  outside,
  queued,
  granted,
  cancelled,
  loop_closed,
  two_loops,
  destroyed
};

/// Throws what a wait is rejected with that ended like this.
[[noreturn]] void throw_end_of(wait_stage s);
[[nodiscard]] std::exception_ptr error_of(wait_stage s);

/// A coroutine that waits (the node is in its frame), or a promise (the node is in its state).
class wait_node : public ready_node {
public:
  [[nodiscard]] wait_stage stage() const noexcept { return stage_; }
  [[nodiscard]] bool is_queued() const noexcept { return stage_ == wait_stage::queued; }
  /// Ends the wait of a node that has been taken off the list; a promise is settled at once.
  void end(wait_stage s) noexcept {
    stage_ = s;
    if (is_promise_) {
      run();
    } else {
      event_loop::make_ready(*this);
    }
  }
  /// A cancel that comes too late, as long as nobody knows what the node was granted.
  void ask() noexcept { is_asked_ = true; }
  [[nodiscard]] bool is_asked() const noexcept { return is_asked_; }
  /// How much it asks for, where that differs.
  [[nodiscard]] std::size_t weight() const noexcept { return weight_; }
  /// False where nobody could see what is granted.
  [[nodiscard]] bool is_wanted() const noexcept { return !is_promise_ || is_held(); }

protected:
  explicit wait_node(bool is_promise, std::size_t weight = 0) noexcept
      : weight_(weight), is_promise_(is_promise) {}
  ~wait_node() = default;

private:
  friend class wait_queue;
  friend class wait_queue_rest;
  /// Whether somebody has the promise.
  [[nodiscard]] virtual bool is_held() const noexcept { return true; }

  const std::size_t weight_;
  std::uint32_t round_ = 0;  // of the list, when it joined
  wait_stage stage_ = wait_stage::outside;
  const bool is_promise_;
  bool is_asked_ = false;
};

class wait_queue : private loop_resident {
public:
  wait_queue() noexcept;
  /// Who waits still is rejected with `contract_error`.
  ~wait_queue();

  [[nodiscard]] bool empty() const noexcept { return nodes_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// The one that has waited longest, or nullptr.
  [[nodiscard]] wait_node* front() const noexcept {
    return static_cast<wait_node*>(nodes_.front());
  }
  /// The first that somebody wants; those before it end as cancelled.
  [[nodiscard]] wait_node* front_wanted() noexcept {
    wait_node* n = front();
    if (n == nullptr || n->is_wanted()) [[likely]]
      return n;
    return skip_unwanted();
  }
  /// Begins to wait, in the current context. Where tasks of another loop wait the node ends.
  void push(wait_node& n) noexcept {
    event_loop& loop = event_loop::current();
    loop.adopt(n);
    if (loop_ != &loop && !move_to(loop)) {
      n.end(wait_stage::two_loops);
      return;
    }
    join(n);
  }
  /// Gives `n`, which is in this list, what it waits for.
  void grant(wait_node& n) noexcept { leave(n, wait_stage::granted); }
  /// All that wait now: see above.
  void grant_all() noexcept;
  /// Whether `n`, which is queued, waits still: else all were granted it, and it will hear.
  [[nodiscard]] bool holds(const wait_node& n) const noexcept { return n.round_ == round_; }
  void cancel(wait_node& n) noexcept {
    leave(n, wait_stage::cancelled);
    one_has_left();
  }

protected:
  /// Somebody was cancelled: those behind may have what they want now.
  virtual void one_has_left() noexcept {}
  /// What `n` gets of a grant to all. False: nothing, it waits on.
  virtual bool give_to(wait_node&) noexcept { return true; }
  /// Calls `go_on` in a step of its own. False: it cannot.
  [[nodiscard]] bool go_on_later() noexcept;
  virtual void go_on() noexcept {}
  /// Whether some of those that were granted to all have not heard yet.
  [[nodiscard]] bool is_behind() const noexcept;
  /// The last of them has heard.
  virtual void all_have_heard() noexcept {}
  /// Ends what grants to all have left to do, here and now.
  void hurry() noexcept;

private:
  friend class wait_queue_rest;
  /// False: it has got nothing of a grant to all.
  [[nodiscard]] bool serve(wait_node& n) noexcept {
    if (give_to(n)) return true;
    if (n.is_asked()) {
      n.end(wait_stage::cancelled);
    } else {
      join(n);
    }
    return false;
  }
  void join(wait_node& n) noexcept {
    n.stage_ = wait_stage::queued;
    n.round_ = round_;
    nodes_.push_back(n);
    ++size_;
  }
  void leave(wait_node& n, wait_stage s) noexcept {
    n.unlink();
    --size_;
    n.end(s);
  }
  void loop_ends() noexcept override;
  [[nodiscard]] bool move_to(event_loop& loop) noexcept;
  [[nodiscard]] bool keep_for_later(node_list& all) noexcept;
  void end_all(wait_stage s) noexcept;
  [[nodiscard]] wait_node* skip_unwanted() noexcept;
  [[nodiscard]] wait_queue_rest* find_rest() noexcept;

  node_list nodes_;
  std::size_t size_ = 0;
  event_loop* loop_ = nullptr;  // that tells this list of its end
  std::unique_ptr<wait_queue_rest> rest_;
  std::uint32_t round_ = 0;  // of grants to more than there may be in a step
};

}  // namespace fermata::detail
