// SPDX-License-Identifier: MIT
// A report of the probe for people and for programs.
#pragma once

#include "probe_run.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fermata::http {

/// What a service has to keep.
struct probe_bounds {
  std::optional<std::chrono::microseconds> p99;
  std::optional<std::chrono::microseconds> outage;
  std::optional<std::uint64_t> errors;
};

/// Latencies counted in buckets that end at 1, 2 and 5 times a power of ten; none beyond the ends.
[[nodiscard]] std::vector<std::pair<std::chrono::microseconds, std::size_t>> histogram(
    latency_log& l);

[[nodiscard]] std::string as_text(probe_report& r);
[[nodiscard]] std::string as_json(probe_report& r);
/// Latency over time and by percentile, for light and dark pages, without anything from outside.
[[nodiscard]] std::string as_svg(probe_report& r, const std::string& url);

/// One line for each bound that was not kept.
[[nodiscard]] std::vector<std::string> breaches(probe_report& r, const probe_bounds& b);

}  // namespace fermata::http
