// SPDX-License-Identifier: MIT
#include "probe_timeline.hpp"

#include <algorithm>

namespace fermata::http {

void probe_timeline::add(std::chrono::nanoseconds since_start,
                         std::chrono::nanoseconds latency,
                         bool failed) {
  while (since_start / slot_time_ >= static_cast<std::int64_t>(most)) {
    slot_time_ *= 2;
    for (std::size_t i = 0; 2 * i < slots_.size(); ++i) {
      probe_slot sum = slots_[2 * i];
      if (2 * i + 1 < slots_.size()) {
        const probe_slot& other = slots_[2 * i + 1];
        sum.longest = std::max(sum.longest, other.longest);
        sum.answers += other.answers;
        sum.failures += other.failures;
      }
      slots_[i] = sum;
    }
    slots_.resize((slots_.size() + 1) / 2);
  }
  const auto index = static_cast<std::size_t>(since_start / slot_time_);
  if (slots_.size() <= index) slots_.resize(index + 1);
  probe_slot& s = slots_[index];
  s.longest = std::max(s.longest, latency);
  ++(failed ? s.failures : s.answers);
}

}  // namespace fermata::http
