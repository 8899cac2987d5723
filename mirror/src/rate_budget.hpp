// SPDX-License-Identifier: MIT
// A rate that many share.
#pragma once

#include <fermata/loop/time_source.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace fermata::mirror {

/// Shape: what was taken is paid for in the order in which it was taken. Nothing is saved up.
class rate_budget {
public:
  /// 0: no limit.
  explicit rate_budget(std::uint64_t bytes_per_second) : rate_(bytes_per_second) {}

  /// Takes up to 1 GiB; gives how long until all of it is paid for.
  [[nodiscard]] std::chrono::nanoseconds take(std::uint64_t bytes, time_point now) {
    if (rate_ == 0) return {};
    paid_at_ = std::max(paid_at_, now) + std::chrono::nanoseconds(bytes * 1'000'000'000 / rate_);
    return paid_at_ - now;
  }

private:
  std::uint64_t rate_;
  time_point paid_at_{};
};

}  // namespace fermata::mirror
