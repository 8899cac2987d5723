// SPDX-License-Identifier: MIT
/// A gate that work goes through: closed, it lets nobody in and tells when all have left.
///
/// Shape:    `gate::holder h = g.enter();` leaves when it ends. `co_await g.close();` closes at
///           once and waits for those inside. For what a `scope` cannot hold: work begun by
///           callbacks.
/// Pauses:   a close, while somebody is inside.
/// Thread:   loop.
/// Rejects:  `cancelled` (the gate stays closed), `loop_closed`.
/// Throws:   `gate_closed` from `enter`.
/// Cost:     O(1), no allocation.
/// Lifetime: the gate outlives its holders.
#pragma once

#include <fermata/promise/detail/operation.hpp>

#include <cstddef>
#include <source_location>
#include <utility>

namespace fermata {

class gate_closed : public error {
public:
  gate_closed() : error("cannot enter: the gate is closed") {}
};

class gate;

namespace detail {

class gate_close {
public:
  using result = void;
  struct slot {};
  explicit gate_close(gate& g) noexcept : gate_(&g) {}
  [[nodiscard]] bool is_ready() const noexcept;
  void perform() const noexcept {}
  void take(slot) const noexcept {}
  [[nodiscard]] wait_queue& queue() const noexcept;

private:
  gate* gate_;
};

}  // namespace detail

/// Somebody who is inside.
class [[nodiscard]] gate_holder {
public:
  /// Nobody.
  gate_holder() noexcept = default;
  gate_holder(gate_holder&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
  gate_holder& operator=(gate_holder&& other) noexcept {
    gate_holder taken(std::move(other));
    std::swap(gate_, taken.gate_);
    return *this;
  }
  ~gate_holder() { let_go(); }
  /// Leaves before the holder ends. Throws: `contract_error` where it has left already.
  void leave() {
    if (gate_ == nullptr) throw contract_error("a holder that is in no gate leaves");
    let_go();
  }
  [[nodiscard]] explicit operator bool() const noexcept { return gate_ != nullptr; }

private:
  friend class gate;
  explicit gate_holder(gate& g) noexcept;
  void let_go() noexcept;
  gate* gate_ = nullptr;
};

class gate {
public:
  using holder = gate_holder;
  using close_operation = operation<detail::gate_close>;

  /// Throws: `gate_closed`.
  [[nodiscard]] holder enter() {
    if (is_closed_) throw gate_closed();
    return holder(*this);
  }
  /// Nobody where the gate is closed.
  [[nodiscard]] holder try_enter() noexcept { return is_closed_ ? holder() : holder(*this); }
  /// Closes the gate, now; what it gives waits until all have left.
  close_operation close(std::source_location site = std::source_location::current()) noexcept {
    is_closed_ = true;
    return {detail::gate_close(*this), site};
  }
  [[nodiscard]] bool is_closed() const noexcept { return is_closed_; }
  /// How many are inside.
  [[nodiscard]] std::size_t count() const noexcept { return count_; }

private:
  friend gate_holder;
  friend class detail::gate_close;
  std::size_t count_ = 0;
  bool is_closed_ = false;
  detail::wait_queue closers_;
};

/// Calls `f() -> promise<U>` inside the gate until that has settled. Rejects: `gate_closed`.
/// Lifetime: `f` lives until the result has settled.
template <typename F>
auto with_gate(gate& g, F f) -> std::invoke_result_t<F&> {
  const gate::holder inside = g.enter();
  auto p = f();
  co_return co_await std::move(p);
}

inline gate_holder::gate_holder(gate& g) noexcept : gate_(&g) { ++g.count_; }

inline void gate_holder::let_go() noexcept {
  gate* const g = std::exchange(gate_, nullptr);
  if (g != nullptr && --g->count_ == 0 && g->is_closed_) g->closers_.grant_all();
}

inline bool detail::gate_close::is_ready() const noexcept { return gate_->count_ == 0; }
inline detail::wait_queue& detail::gate_close::queue() const noexcept { return gate_->closers_; }

}  // namespace fermata
