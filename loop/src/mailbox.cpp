// SPDX-License-Identifier: MIT
// The way into a loop from other threads.

#include "mailbox.hpp"

namespace fermata {

mailbox::mailbox() : letters_(std::make_unique<letters>()) {}
mailbox::~mailbox() = default;

bool mailbox::post(unique_function<void()> f) {
  const std::lock_guard lock(letters_->mutex);
  if (letters_->wake == nullptr) return false;
  letters_->queue.push_back(std::move(f));
  uv_async_send(letters_->wake);
  return true;
}

bool event_loop::post(unique_function<void()> f) { return mailbox_->post(std::move(f)); }

void event_loop::letter_node::collect() {
  if (inbox.empty()) {
    const std::lock_guard lock(loop.mailbox_->letters_->mutex);
    inbox.swap(loop.mailbox_->letters_->queue);
  }
  if (!inbox.empty() && !is_linked()) loop.enqueue(*this);
}

void event_loop::letter_node::run() noexcept {
  unique_function<void()> f = std::move(inbox.front());
  inbox.pop_front();
  ++loop.metrics_.posts;
  try {
    f();
  } catch (...) {
    loop.report_unobserved(std::current_exception());
  }
  f = nullptr;
  const context_ptr own = loop.exchange_context(loop.root_);
  collect();
  loop.exchange_context(own);
}

}  // namespace fermata
