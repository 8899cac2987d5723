// SPDX-License-Identifier: MIT
/// Units that are taken and given back: what mutex, rw_mutex and semaphore are made of.
///
/// Shape:  strictly first in, first out: nobody overtakes who waits, also where fewer units would
///         do. Units that are given back are handed over at once, to 256 in a step.
/// Thread: loop.
#pragma once

#include <fermata/promise/detail/operation.hpp>

#include <cstddef>
#include <utility>

namespace fermata::detail {

class unit_queue final : public wait_queue {
public:
  explicit unit_queue(std::size_t units) noexcept : available_(units) {}

  [[nodiscard]] std::size_t available() const noexcept { return available_; }
  [[nodiscard]] bool can_take(std::size_t n) noexcept {
    return n <= available_ && front_wanted() == nullptr;
  }
  void take(std::size_t n) noexcept { available_ -= n; }
  [[nodiscard]] bool try_take(std::size_t n) noexcept {
    if (!can_take(n)) return false;
    take(n);
    return true;
  }
  void give(std::size_t n) noexcept {
    available_ += n;
    hand_over();
  }

private:
  void hand_over() noexcept {
    std::size_t served = 0;
    for (wait_node* n = front_wanted(); n != nullptr && n->weight() <= available_;
         n = front_wanted()) {
      if (served++ == batch && go_on_later()) return;
      available_ -= n->weight();
      grant(*n);
    }
  }
  void one_has_left() noexcept override { hand_over(); }
  void go_on() noexcept override { hand_over(); }

  std::size_t available_;
};

/// Takes units and gives a `Guard`, which is made from the guarded object and the units.
template <typename Guard, typename Guarded>
class take_units {
public:
  using result = Guard;
  struct slot {};
  take_units(Guarded& of, unit_queue& from, std::size_t n) noexcept
      : of_(&of), from_(&from), count_(n) {}
  [[nodiscard]] bool is_ready() const noexcept { return from_->can_take(count_); }
  [[nodiscard]] Guard perform() const noexcept {
    from_->take(count_);
    return Guard(*of_, count_);
  }
  [[nodiscard]] Guard take(slot) const noexcept { return Guard(*of_, count_); }
  [[nodiscard]] wait_queue& queue() const noexcept { return *from_; }
  [[nodiscard]] std::size_t weight() const noexcept { return count_; }

private:
  Guarded* of_;
  unit_queue* from_;
  std::size_t count_;
};

}  // namespace fermata::detail
