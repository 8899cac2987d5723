// SPDX-License-Identifier: MIT
// All values are kept: a histogram would round the very figures that matter, the last ones.

#include <fermata/http/latency_log.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace fermata::http {

void latency_log::add(std::chrono::nanoseconds value) {
  constexpr std::int64_t most = std::numeric_limits<std::uint32_t>::max();
  const std::int64_t us = std::chrono::duration_cast<std::chrono::microseconds>(value).count();
  values_.push_back(static_cast<std::uint32_t>(std::clamp<std::int64_t>(us, 0, most)));
  sorted_ = false;
}

std::chrono::microseconds latency_log::percentile(double percent) {
  if (values_.empty()) return std::chrono::microseconds(0);
  if (!sorted_) std::sort(values_.begin(), values_.end());
  sorted_ = true;
  const double rank = std::ceil(percent / 100 * static_cast<double>(values_.size()));
  const double last = static_cast<double>(values_.size() - 1);
  const auto index = static_cast<std::size_t>(std::clamp(rank - 1, 0.0, last));
  return std::chrono::microseconds(values_[index]);
}

}  // namespace fermata::http
