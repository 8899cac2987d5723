// SPDX-License-Identifier: MIT
/// A counted pointer to what the ends of a channel and the like share.
///
/// Shape:  `T` has a public member `count`, which begins at 0. It is not atomic.
/// Thread: loop.
#pragma once

#include <cstddef>
#include <utility>

namespace fermata::detail {

template <typename T>
class counted_ptr {
public:
  counted_ptr() noexcept = default;
  explicit counted_ptr(T* held) noexcept : held_(held) { add(); }
  counted_ptr(const counted_ptr& other) noexcept : held_(other.held_) { add(); }
  counted_ptr(counted_ptr&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  counted_ptr& operator=(counted_ptr other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~counted_ptr() {
    if (held_ != nullptr && --held_->count == 0) end(held_);
  }
  [[nodiscard]] T* get() const noexcept { return held_; }
  [[nodiscard]] T* operator->() const noexcept { return held_; }
  [[nodiscard]] T& operator*() const noexcept { return *held_; }
  [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }

private:
  // Apart, so that the rest is small enough to be inlined.
  [[gnu::noinline, gnu::cold]] static void end(T* held) noexcept { delete held; }
  void add() noexcept {
    if (held_ != nullptr) ++held_->count;
  }
  T* held_ = nullptr;
};

}  // namespace fermata::detail
