// SPDX-License-Identifier: MIT
// Delays between attempts, and the error of the last one.

#include <fermata/promise/retry.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <random>

namespace fermata::detail {

backoff::backoff(const retry_policy& p)
    : next_ns_(static_cast<double>(p.first_delay.count())),
      longest_ns_(static_cast<double>(p.longest_delay.count())),
      factor_(p.factor),
      jitter_(p.jitter),
      random_(p.seed != 0 ? p.seed : std::random_device()()) {
  if (p.attempts == 0) throw contract_error("a retry needs at least one attempt");
  if (!(next_ns_ >= 0 && longest_ns_ >= next_ns_ && factor_ >= 1)) {
    throw contract_error("the delays of a retry must not shrink");
  }
  if (!(jitter_ >= 0 && jitter_ <= 1)) {
    throw contract_error("the jitter of a retry is a share from 0 to 1");
  }
}

// One step of splitmix64 a delay: the same on every machine for a seed.
std::chrono::nanoseconds backoff::next() noexcept {
  std::uint64_t x = random_ += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  x ^= x >> 31U;
  const double share = static_cast<double>(x >> 11U) * 0x1p-53;
  const double full = next_ns_;
  next_ns_ = std::min(longest_ns_, next_ns_ * factor_);
  const double ns = full * (1 - jitter_ * share);
  if (ns >= 0x1p63) return std::chrono::nanoseconds::max();
  return std::chrono::nanoseconds(static_cast<std::int64_t>(ns));
}

std::exception_ptr given_up(std::exception_ptr e, std::size_t attempt, std::size_t attempts) {
  if (attempt == 1) return e;
  return add_context(std::move(e), fmt::format("attempt {} of {}", attempt, attempts));
}

}  // namespace fermata::detail
