// SPDX-License-Identifier: MIT
/// The queue of what can go on: first in, first out, in two latency classes with ageing.
///
/// Shape:  intrusive; a node stands in at most one list (ready, paused, waiters of a promise).
/// Thread: loop.
/// Cost:   every operation is O(1) and allocates nothing.
#pragma once

#include <fermata/loop/context.hpp>

#include <cstddef>
#include <cstdint>

namespace fermata {

class node_list;

/// A place in a ring of nodes; the ring's own place is its list.
class node_link {
public:
  node_link(const node_link&) = delete;
  node_link& operator=(const node_link&) = delete;

  [[nodiscard]] bool is_linked() const noexcept { return next_ != nullptr; }
  void unlink() noexcept {
    if (next_ == nullptr) return;
    next_->previous_ = previous_;
    previous_->next_ = next_;
    next_ = previous_ = nullptr;
  }

protected:
  node_link() noexcept = default;
  ~node_link() = default;

private:
  friend class node_list;
  node_link* next_ = nullptr;
  node_link* previous_ = nullptr;
};

/// Something that runs once when its time has come.
class ready_node : public node_link {
public:
  ready_node() noexcept = default;

  /// Goes on. The node may be gone afterwards: the caller touches it no more.
  virtual void run() noexcept = 0;
  /// Called instead where the loop that it would run in has ended. The node may be gone afterwards.
  virtual void lost() noexcept {}

  /// What it runs in: set when it begins to wait.
  [[nodiscard]] const context_ptr& where() const noexcept { return context_; }

protected:
  ~ready_node() { unlink(); }
  /// It will not run again.
  void leave_context() noexcept { context_ = context_ptr(); }

private:
  friend class ready_queue;
  friend class event_loop;
  context_ptr context_;
};

/// A ring of nodes; it does not own them, and those that stand in it when it ends are let go.
class node_list : private node_link {
public:
  node_list() noexcept { next_ = previous_ = this; }
  ~node_list() {
    while (!empty()) next_->unlink();
    next_ = previous_ = nullptr;
  }

  [[nodiscard]] bool empty() const noexcept { return next_ == this; }
  /// Whether exactly one node stands in the list.
  [[nodiscard]] bool has_one() const noexcept { return next_ != this && next_ == previous_; }
  /// Cost: O(n), for a node leaves without its list.
  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t n = 0;
    for (const node_link* at = next_; at != this; at = at->next_) ++n;
    return n;
  }
  [[nodiscard]] ready_node* front() const noexcept {
    return empty() ? nullptr : static_cast<ready_node*>(next_);
  }
  void push_back(node_link& n) noexcept { insert(n, *previous_, *this); }
  void push_front(node_link& n) noexcept { insert(n, *this, *next_); }
  ready_node* pop_front() noexcept {
    if (empty()) return nullptr;
    auto* n = static_cast<ready_node*>(next_);
    next_ = n->next_;
    next_->previous_ = this;
    static_cast<node_link*>(n)->next_ = static_cast<node_link*>(n)->previous_ = nullptr;
    return n;
  }
  ready_node* pop_back() noexcept {
    if (empty()) return nullptr;
    auto* n = static_cast<ready_node*>(previous_);
    n->unlink();
    return n;
  }
  /// Moves all of `other` to the end.
  void append(node_list& other) noexcept {
    if (other.empty()) return;
    previous_->next_ = other.next_;
    other.next_->previous_ = previous_;
    previous_ = other.previous_;
    previous_->next_ = this;
    other.next_ = other.previous_ = &other;
  }

private:
  static void insert(node_link& n, node_link& before, node_link& after) noexcept {
    n.previous_ = &before;
    n.next_ = &after;
    before.next_ = &n;
    after.previous_ = &n;
  }
};

/// While prompt work never ends, the oldest bulk node goes first in every so many turns.
inline constexpr std::uint64_t ageing_turns = 4;

/// The two lists and the order between them: what has given way while somebody waited is bulk, so
/// that the answer to an event waits for one slice and not for one of every busy task.
class ready_queue {
public:
  [[nodiscard]] bool empty() const noexcept { return prompt_.empty() && bulk_.empty(); }

  void push(ready_node& n) noexcept { prompt_.push_back(n); }
  /// Before all that waits: for a node that stands for several.
  void push_front(ready_node& n) noexcept { prompt_.push_front(n); }
  /// For nodes that gave way, by the latency class of their contexts.
  void push_after_pause(node_list& prompt, node_list& bulk, std::uint64_t turn) noexcept {
    prompt_.append(prompt);
    if (bulk.empty()) return;
    if (bulk_.empty()) bulk_turn_ = turn;
    bulk_.append(bulk);
  }
  /// The next node, or nullptr.
  ready_node* pop(std::uint64_t turn) noexcept {
    if (bulk_.empty()) return prompt_.pop_front();
    if (!prompt_.empty() && turn - bulk_turn_ < ageing_turns) return prompt_.pop_front();
    bulk_turn_ = turn;
    return bulk_.pop_front();
  }

private:
  node_list prompt_;
  node_list bulk_;
  std::uint64_t bulk_turn_ = 0;  // the last one in which a bulk node ran, or the first came
};

}  // namespace fermata
