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

void latency_log::sort() {
  if (!sorted_) std::sort(values_.begin(), values_.end());
  sorted_ = true;
}

std::size_t latency_log::count_within(std::chrono::microseconds most) {
  sort();
  const auto end = std::upper_bound(values_.begin(), values_.end(), most.count());
  return static_cast<std::size_t>(end - values_.begin());
}

std::chrono::microseconds latency_log::percentile(double percent) {
  if (values_.empty()) return std::chrono::microseconds(0);
  sort();
  const double rank = std::ceil(percent / 100 * static_cast<double>(values_.size()));
  const double last = static_cast<double>(values_.size() - 1);
  const auto index = static_cast<std::size_t>(std::clamp(rank - 1, 0.0, last));
  return std::chrono::microseconds(values_[index]);
}

}  // namespace fermata::http
