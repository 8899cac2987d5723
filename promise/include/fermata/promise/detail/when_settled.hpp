// SPDX-License-Identifier: MIT
/// Calls a function with a promise once it has settled: the end of a chain that goes elsewhere.
///
/// Thread: loop; the node is made, run and destroyed there.
#pragma once

#include <fermata/promise/promise.hpp>

#include <memory>
#include <utility>

namespace fermata::detail {

template <typename T, typename F>
class settled_node final : public waiter {
public:
  explicit settled_node(F&& f) : call_(std::move(f)) {}

private:
  void run() noexcept override {
    promise<T> settled = access::handle(static_cast<state<T>*>(upstream()));
    let_go();
    end(std::move(settled));
  }
  void drop() noexcept override { end(rejected<T>(broken_promise())); }
  void end(promise<T> settled) noexcept {
    const std::unique_ptr<settled_node> self(this);
    call_(std::move(settled));
  }

  F call_;
};

/// Calls `f(promise<T>)`, which does not throw, at once or when `p` settles. Gives the state that a
/// cancel asks, or nullptr where it is over: it lives until `f` has been called.
template <typename T, typename F>
state_base* when_settled(promise<T> p, F f) {
  state<T>& s = access::root(p);
  if (!s.is_pending()) {
    f(std::move(p));
    return nullptr;
  }
  (new settled_node<T, F>(std::move(f)))->wait_for(s);
  return &s;
}

}  // namespace fermata::detail
