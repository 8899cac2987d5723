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

/// Something that runs once when its time has come.
class ready_node {
public:
  ready_node() noexcept = default;
  ready_node(const ready_node&) = delete;
  ready_node& operator=(const ready_node&) = delete;

  /// Goes on. The node may be gone afterwards: the caller touches it no more.
  virtual void run() noexcept = 0;

  [[nodiscard]] bool is_linked() const noexcept { return list_ != nullptr; }
  void unlink() noexcept;

protected:
  ~ready_node() { unlink(); }

private:
  friend class node_list;
  friend class ready_queue;
  friend class event_loop;
  ready_node* next_ = nullptr;
  ready_node* previous_ = nullptr;
  node_list* list_ = nullptr;
  context_ptr context_;
};

/// A doubly linked list of nodes; it does not own them.
class node_list {
public:
  node_list() noexcept = default;
  node_list(const node_list&) = delete;
  node_list& operator=(const node_list&) = delete;

  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] ready_node* front() const noexcept { return first_; }

  void push_back(ready_node& n) noexcept {
    n.list_ = this;
    n.previous_ = last_;
    n.next_ = nullptr;
    (last_ == nullptr ? first_ : last_->next_) = &n;
    last_ = &n;
    ++size_;
  }
  ready_node* pop_front() noexcept {
    ready_node* n = first_;
    if (n != nullptr) remove(*n);
    return n;
  }
  void remove(ready_node& n) noexcept {
    (n.previous_ == nullptr ? first_ : n.previous_->next_) = n.next_;
    (n.next_ == nullptr ? last_ : n.next_->previous_) = n.previous_;
    n.list_ = nullptr;
    n.next_ = n.previous_ = nullptr;
    --size_;
  }

private:
  ready_node* first_ = nullptr;
  ready_node* last_ = nullptr;
  std::size_t size_ = 0;
};

inline void ready_node::unlink() noexcept {
  if (list_ != nullptr) list_->remove(*this);
}

/// While prompt work never ends, the oldest bulk node goes first in every so many turns.
inline constexpr std::uint64_t ageing_turns = 4;

/// The two lists and the order between them: what has given way while somebody waited is bulk, so
/// that the answer to an event waits for one slice and not for one of every busy task.
class ready_queue {
public:
  [[nodiscard]] bool empty() const noexcept { return prompt_.empty() && bulk_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return prompt_.size() + bulk_.size(); }

  void push(ready_node& n) noexcept { prompt_.push_back(n); }
  /// For a node that gave way; the latency class of its context decides.
  void push_after_pause(ready_node& n, std::uint64_t turn) noexcept {
    if (n.context_->latency() == latency_class::prompt) {
      prompt_.push_back(n);
      return;
    }
    if (bulk_.empty()) bulk_turn_ = turn;
    bulk_.push_back(n);
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
