// SPDX-License-Identifier: MIT
// Places are found by number, never by reference: others come and go while one is worked on, but a
// place that was begun stays until it is done.

#include "naming_crew.hpp"

#include <utility>

namespace fermata::git_mem::detail {

void naming_batch::name_all() noexcept {
  for (; named < objects.size(); ++named) {
    unnamed_object& o = objects[named];
    if (o.is_named) continue;
    try {
      o.id = name_object(o.type, o.content, how);
    } catch (const failure& f) {
      refused = f;
      return;
    }
  }
}

void naming_crew::name_next(std::unique_lock<std::mutex>& lock) noexcept {
  const std::uint64_t number = next_++;
  naming_batch& batch = *places_[number - first_].batch;
  lock.unlock();
  batch.name_all();
  lock.lock();
  places_[number - first_].is_done = true;
  done_.notify_one();
}

void naming_crew::help() noexcept {
  std::unique_lock lock(lock_);
  for (;;) {
    work_.wait(lock, [this] { return is_closed_ || next_ < first_ + places_.size(); });
    if (is_closed_) return;
    name_next(lock);
  }
}

void naming_crew::close() noexcept {
  const std::lock_guard lock(lock_);
  is_closed_ = true;
  work_.notify_all();
}

void naming_crew::put(std::unique_ptr<naming_batch> batch) {
  const std::lock_guard lock(lock_);
  places_.push_back({std::move(batch), false});
  work_.notify_one();
}

std::unique_ptr<naming_batch> naming_crew::take_first() {
  std::unique_lock lock(lock_);
  while (!places_.front().is_done) {
    if (next_ < first_ + places_.size()) {
      name_next(lock);
    } else {
      done_.wait(lock);
    }
  }
  std::unique_ptr<naming_batch> first = std::move(places_.front().batch);
  places_.pop_front();
  ++first_;
  return first;
}

void naming_crew::abandon() noexcept {
  std::unique_lock lock(lock_);
  while (next_ < first_ + places_.size()) places_.pop_back();
  done_.wait(lock, [this] {
    for (const place& p : places_) {
      if (!p.is_done) return false;
    }
    return true;
  });
  places_.clear();
  first_ = next_;
}

}  // namespace fermata::git_mem::detail
