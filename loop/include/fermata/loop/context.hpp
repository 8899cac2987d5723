// SPDX-License-Identifier: MIT
/// What rides in every waiter and frame: policy, latency class and name of the task.
///
/// Shape:  immutable and shared; a change makes a new one that is inherited by what runs inside.
/// Thread: loop (the count is not atomic).
#pragma once

#include <fermata/loop/budget.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace fermata {

namespace detail {
struct watch_post;
class context_values;
}  // namespace detail

/// Where a task waits after it has given way.
enum class latency_class : std::uint8_t {
  prompt,  ///< with what events made ready: somebody outside waits for its answer
  bulk     ///< behind that; never starved, see `ageing_turns`
};

class context {
public:
  context(event_loop& loop, policy p, latency_class c, std::string name);
  context(const context&) = delete;
  context& operator=(const context&) = delete;
  ~context();

  /// The loop in which the task runs; nullptr once that has ended.
  [[nodiscard]] event_loop* find_loop() const noexcept { return loop_; }
  [[nodiscard]] const policy& when() const noexcept { return policy_; }
  [[nodiscard]] latency_class latency() const noexcept { return class_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  /// What `context_key` has bound: immutable, and safe to keep on any thread.
  using values_ptr = std::shared_ptr<const detail::context_values>;
  [[nodiscard]] const values_ptr& values() const noexcept { return values_; }
  /// Before the context is shared.
  void set_values(values_ptr v) noexcept { values_ = std::move(v); }

private:
  friend class context_ptr;
  friend class event_loop;
  static void destroy(context* c) noexcept;
  event_loop* loop_;
  context* next_ = nullptr;  // among those of the loop, which tells them when it ends
  context** back_ = nullptr;
  std::shared_ptr<detail::watch_post> post_;
  std::string name_;
  std::uint64_t slice_ticks_;  // 0: the slow way through `is_used_up`
  values_ptr values_;
  std::uint32_t count_ = 0;
  policy policy_;
  latency_class class_;
};

/// A counted reference to a context.
class context_ptr {
public:
  context_ptr() noexcept = default;
  explicit context_ptr(context* c) noexcept : held_(c) {
    if (held_ != nullptr) ++held_->count_;
  }
  context_ptr(const context_ptr& other) noexcept : context_ptr(other.held_) {}
  context_ptr(context_ptr&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  context_ptr& operator=(const context_ptr& other) noexcept {
    if (other.held_ != nullptr) ++other.held_->count_;
    replace(other.held_);
    return *this;
  }
  context_ptr& operator=(context_ptr&& other) noexcept {
    replace(std::exchange(other.held_, nullptr));
    return *this;
  }
  ~context_ptr() { replace(nullptr); }
  [[nodiscard]] context* get() const noexcept { return held_; }
  [[nodiscard]] context* operator->() const noexcept { return held_; }
  [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }
  bool operator==(const context_ptr& other) const noexcept { return held_ == other.held_; }

private:
  void replace(context* by) noexcept {
    context* const old = std::exchange(held_, by);
    if (old != nullptr && --old->count_ == 0) context::destroy(old);
  }

  context* held_ = nullptr;
};

}  // namespace fermata
