// SPDX-License-Identifier: MIT
/// A queue of values in blocks: it never moves what it holds, so that no step is long.
///
/// Shape:  first in, first out; one block is kept for the next use.
/// Thread: loop.
/// Cost:   O(1), but the end of a queue that is not empty; one allocation a block of about 1 KiB,
///         none while the queue stays short.
#pragma once

#include <fermata/promise/detail/state.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace fermata::detail {

template <typename T>
class item_queue {
public:
  item_queue() noexcept = default;
  item_queue(item_queue&& other) noexcept
      : first_(std::exchange(other.first_, nullptr)),
        last_(std::exchange(other.last_, nullptr)),
        spare_(std::exchange(other.spare_, nullptr)),
        begin_(std::exchange(other.begin_, 0)),
        end_(std::exchange(other.end_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  item_queue& operator=(item_queue&&) = delete;
  ~item_queue() {
    while (size_ > 0) pop();
    delete first_;
    delete spare_;
  }

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] T& front() noexcept { return *first_->at(begin_); }

  void push(T&& item) {
    if (last_ != nullptr && end_ < block::length) {
      std::construct_at(last_->at(end_), std::move(item));
      ++end_;
    } else {
      auto b = new_block();
      std::construct_at(b->at(0), std::move(item));
      append(b.release());
    }
    ++size_;
  }
  void pop() noexcept {
    std::destroy_at(first_->at(begin_));
    --size_;
    if (++begin_ == block::length || size_ == 0) next_block();
  }
  /// Puts an item before all others.
  void push_front(T&& item) {
    if (size_ == 0) {
      push(std::move(item));
      return;
    }
    if (begin_ > 0) {
      std::construct_at(first_->at(begin_ - 1), std::move(item));
      --begin_;
    } else {
      auto b = new_block();
      std::construct_at(b->at(block::length - 1), std::move(item));
      prepend(b.release());
    }
    ++size_;
  }

private:
  struct block {
    static constexpr std::size_t length = std::max<std::size_t>(1, 1000 / sizeof(T));
    T* at(std::size_t i) noexcept { return std::launder(reinterpret_cast<T*>(bytes) + i); }
    block* next = nullptr;
    alignas(T) std::byte bytes[length * sizeof(T)];
  };

  [[nodiscard]] std::unique_ptr<block> new_block() {
    return std::unique_ptr<block>(spare_ != nullptr ? std::exchange(spare_, nullptr) : new block);
  }
  // Each takes a block that holds one item already.
  void append(block* b) noexcept {
    b->next = nullptr;
    (last_ == nullptr ? first_ : last_->next) = b;
    last_ = b;
    end_ = 1;
  }
  void prepend(block* b) noexcept {
    b->next = first_;
    first_ = b;
    begin_ = block::length - 1;
  }
  // The first block is used up, or nothing is left: then the block is used anew from its begin.
  void next_block() noexcept {
    if (size_ > 0) {
      block* used = std::exchange(first_, first_->next);
      delete std::exchange(spare_, used);
    } else {
      end_ = 0;
    }
    begin_ = 0;
  }

  block* first_ = nullptr;
  block* last_ = nullptr;
  block* spare_ = nullptr;
  std::size_t begin_ = 0;  // of the items in the first block
  std::size_t end_ = 0;    // of the items in the last one
  std::size_t size_ = 0;
};

/// Drops what is left of a long queue, a batch in a step.
template <typename T>
class item_dropper final : public ready_node {
public:
  explicit item_dropper(item_queue<T>&& items) noexcept : items_(std::move(items)) {}
  void run() noexcept override {
    drop_batch(items_);
    if (items_.empty()) {
      delete this;
    } else {
      event_loop::make_ready(*this);
    }
  }
  void lost() noexcept override { delete this; }
  static void drop_batch(item_queue<T>& items) noexcept {
    for (std::size_t i = 0; i < batch && !items.empty(); ++i) items.pop();
  }

private:
  item_queue<T> items_;
};

/// Drops the items: the first batch here and now, the rest from the queue where a loop runs.
template <typename T>
void drop_items(item_queue<T> items) noexcept {
  item_dropper<T>::drop_batch(items);
  event_loop* const loop = running_loop;
  if (items.empty() || loop == nullptr || loop->is_ending()) return;
  auto* rest = new (std::nothrow) item_dropper<T>(std::move(items));
  if (rest != nullptr) loop->enqueue(*rest);
}

}  // namespace fermata::detail
