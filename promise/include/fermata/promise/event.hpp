// SPDX-License-Identifier: MIT
/// Something that has happened or not: tasks wait until it has.
///
/// Shape:    `event` stays set until it is reset: never reset, it is a one-shot. `auto_event` lets
///           one task go on for each `set`, the one that has waited longest; a set that nobody
///           waits for is kept, but only one.
/// Pauses:   a wait, until the event is set; else it checks the slice.
/// Thread:   loop. From another thread: `post` a call of `set`.
/// Rejects:  `cancelled`, `loop_closed`. A cancelled wait takes no set with it.
/// Cost:     O(1) and no allocation; a set of an `event` is O(tasks that wait), in steps of 256.
/// Lifetime: who waits for an event that is destroyed is rejected with `contract_error`.
#pragma once

#include <fermata/promise/detail/operation.hpp>

#include <cstddef>
#include <source_location>

namespace fermata {
namespace detail {

/// Waits until `Owner` says that it may go on.
template <typename Owner>
class wait_for_owner {
public:
  using result = void;
  struct slot {};
  explicit wait_for_owner(Owner& owner) noexcept : owner_(&owner) {}
  [[nodiscard]] bool is_ready() const noexcept { return owner_->is_set(); }
  void perform() const noexcept { owner_->passed(); }
  void take(slot) const noexcept {}
  [[nodiscard]] wait_queue& queue() const noexcept { return owner_->waiters_; }

private:
  Owner* owner_;
};

}  // namespace detail

class event {
public:
  using wait_operation = operation<detail::wait_for_owner<event>>;

  explicit event(bool is_set = false) noexcept : is_set_(is_set) {}

  /// Lets all go on that wait, and all that will, until it is reset.
  void set() noexcept {
    is_set_ = true;
    waiters_.grant_all();
  }
  void reset() noexcept { is_set_ = false; }
  [[nodiscard]] bool is_set() const noexcept { return is_set_; }
  wait_operation wait(std::source_location site = std::source_location::current()) noexcept {
    return {detail::wait_for_owner<event>(*this), site};
  }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiters_.size(); }

private:
  friend class detail::wait_for_owner<event>;
  void passed() const noexcept {}

  detail::wait_queue waiters_;
  bool is_set_;
};

class auto_event {
public:
  using wait_operation = operation<detail::wait_for_owner<auto_event>>;

  explicit auto_event(bool is_set = false) noexcept : is_set_(is_set) {}

  /// Lets one go on, or the next that comes.
  void set() noexcept {
    if (detail::wait_node* n = waiters_.front_wanted()) {
      waiters_.grant(*n);
    } else {
      is_set_ = true;
    }
  }
  void reset() noexcept { is_set_ = false; }
  [[nodiscard]] bool is_set() const noexcept { return is_set_; }
  wait_operation wait(std::source_location site = std::source_location::current()) noexcept {
    return {detail::wait_for_owner<auto_event>(*this), site};
  }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiters_.size(); }

private:
  friend class detail::wait_for_owner<auto_event>;
  void passed() noexcept { is_set_ = false; }

  detail::wait_queue waiters_;
  bool is_set_;
};

}  // namespace fermata
