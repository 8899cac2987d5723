// SPDX-License-Identifier: MIT
// What a histogram answers.

#include <fermata/loop/histogram.hpp>

namespace fermata {

std::chrono::nanoseconds histogram::quantile(double q) const noexcept {
  if (count_ == 0) return {};
  const double share = std::clamp(q, 0.0, 1.0) * static_cast<double>(count_);
  const auto wanted = std::max<std::uint64_t>(static_cast<std::uint64_t>(share + 0.5), 1);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets; ++i) {
    seen += counts_[i];
    if (seen < wanted) continue;
    if (i + 1 == buckets) break;  // what is longer counts here too
    return std::chrono::nanoseconds(std::min(bucket_end(i), longest_ns_));
  }
  return longest();
}

std::uint64_t histogram::count_up_to(std::chrono::nanoseconds d) const noexcept {
  if (d.count() < 0) return 0;
  if (d >= longest()) return count_;
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i + 1 < buckets; ++i) {
    if (bucket_end(i) > static_cast<std::uint64_t>(d.count())) break;
    seen += counts_[i];
  }
  return seen;
}

}  // namespace fermata
