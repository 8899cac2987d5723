// SPDX-License-Identifier: MIT
/// What clients asked for, and how long it took: counts and histograms by endpoint, for the page
/// and for Prometheus.
///
/// Units:  a latency is from the call of the handler to the end of its answer's promise.
/// Pauses: never.
/// Thread: the owner's; a copy may go to another.
#pragma once

#include <fermata/loop/histogram.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace fermata::mirror {

enum class endpoint : std::uint8_t {
  index,
  repo,
  version,
  archive,
  git,
  status,
  metrics,
  health,
  update,
  other,
};
inline constexpr std::size_t endpoints = 10;

[[nodiscard]] std::string_view to_string(endpoint e);

/// Of a path that a client asked for; `update_path` is the hook's.
[[nodiscard]] endpoint endpoint_of(std::string_view path, std::string_view update_path);

struct endpoint_counts {
  std::array<std::uint64_t, 6> responses{};  ///< by class: [2] is 2xx
  histogram latency;
};

class request_meter {
public:
  void record(endpoint e, int status, std::chrono::nanoseconds took) noexcept;
  void merge(const request_meter& other) noexcept;

  [[nodiscard]] const endpoint_counts& of(endpoint e) const noexcept {
    return counts_[static_cast<std::size_t>(e)];
  }
  /// Of all endpoints since the last `take_recent`.
  [[nodiscard]] histogram take_recent() noexcept;
  [[nodiscard]] std::uint64_t requests() const noexcept { return requests_; }
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }  ///< 5xx

private:
  std::array<endpoint_counts, endpoints> counts_;
  histogram recent_;
  std::uint64_t requests_ = 0;
  std::uint64_t failures_ = 0;
};

}  // namespace fermata::mirror
