// SPDX-License-Identifier: MIT
#include "request_meter.hpp"

#include <utility>

namespace fermata::mirror {

std::string_view to_string(endpoint e) {
  constexpr std::array<std::string_view, endpoints> names{"index",  "repo",   "version", "archive",
                                                          "git",    "status", "metrics", "health",
                                                          "update", "other"};
  return names[static_cast<std::size_t>(e)];
}

endpoint endpoint_of(std::string_view path, std::string_view update_path) {
  if (path == "/index.tar.gz") return endpoint::index;
  if (path.starts_with("/cache/")) return endpoint::archive;
  if (path == "/repo") return endpoint::repo;
  if (path == "/version") return endpoint::version;
  if (path == "/metrics") return endpoint::metrics;
  if (path == "/healthz" || path == "/readyz") return endpoint::health;
  if (path == update_path) return endpoint::update;
  if (path == "/" || path.starts_with("/status")) return endpoint::status;
  if (path.starts_with("/repository.git/")) return endpoint::git;
  return endpoint::other;
}

void request_meter::record(endpoint e, int status, std::chrono::nanoseconds took) noexcept {
  endpoint_counts& c = counts_[static_cast<std::size_t>(e)];
  const auto status_class = static_cast<std::size_t>(status / 100);
  if (status_class < c.responses.size()) ++c.responses[status_class];
  c.latency.record(took);
  recent_.record(took);
  ++requests_;
  if (status_class == 5) ++failures_;
}

void request_meter::merge(const request_meter& other) noexcept {
  for (std::size_t i = 0; i < endpoints; ++i) {
    for (std::size_t j = 0; j < counts_[i].responses.size(); ++j) {
      counts_[i].responses[j] += other.counts_[i].responses[j];
    }
    counts_[i].latency.merge(other.counts_[i].latency);
  }
  recent_.merge(other.recent_);
  requests_ += other.requests_;
  failures_ += other.failures_;
}

histogram request_meter::take_recent() noexcept { return std::exchange(recent_, histogram()); }

}  // namespace fermata::mirror
