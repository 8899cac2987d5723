// SPDX-License-Identifier: MIT
// What other threads have posted, and the libuv handle that wakes the loop for it.
#pragma once

#include <fermata/loop/event_loop.hpp>

#include <deque>
#include <mutex>

namespace fermata {

struct mailbox::letters {
  std::mutex mutex;
  std::deque<unique_function<void()>> queue;
  uv_async_t* wake = nullptr;  // nullptr: the loop has ended
};

// Runs the posted functions one a time, so that a storm of posts is cut by the slice.
struct event_loop::letter_node final : ready_node {
  explicit letter_node(event_loop& l) : loop(l) {}
  void collect();
  void run() noexcept override;

  event_loop& loop;
  std::deque<unique_function<void()>> inbox;
};

}  // namespace fermata
