// SPDX-License-Identifier: MIT
/// The way that a rejection has come.
///
/// Thread: loop.
#pragma once

#include <fermata/loop/block_cache.hpp>

#include <cstdint>
#include <exception>
#include <source_location>
#include <utility>

namespace fermata::detail {

/// The way of a rejection through binds and awaits, last first; the first 64 steps of it. Immutable
/// and counted, not atomic.
class rejection_path {
public:
  rejection_path() noexcept = default;
  rejection_path(std::source_location site, const rejection_path& before) noexcept;
  rejection_path(const rejection_path& other) noexcept : last_(other.last_) {
    if (last_ != nullptr) ++last_->count;
  }
  rejection_path(rejection_path&& other) noexcept : last_(std::exchange(other.last_, nullptr)) {}
  rejection_path& operator=(rejection_path other) noexcept {
    std::swap(last_, other.last_);
    return *this;
  }
  ~rejection_path() { release(); }

  [[nodiscard]] bool empty() const noexcept { return last_ == nullptr; }
  [[nodiscard]] std::source_location site() const noexcept { return last_->site; }
  [[nodiscard]] rejection_path before() const noexcept;

private:
  struct step : in_cached_block {
    std::source_location site;
    std::uint32_t count = 1;
    std::uint32_t length = 1;
    step* before = nullptr;
  };
  explicit rejection_path(step* last) noexcept : last_(last) {}
  [[nodiscard]] step* take() noexcept { return std::exchange(last_, nullptr); }
  void release() noexcept;

  step* last_ = nullptr;
};

/// What a coroutine has rethrown, and the way it came.
struct thrown : in_cached_block {
  thrown(std::exception_ptr e, rejection_path p) noexcept
      : error(std::move(e)), path(std::move(p)) {}
  std::exception_ptr error;
  rejection_path path;
};

}  // namespace fermata::detail
