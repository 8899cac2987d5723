// SPDX-License-Identifier: MIT
#include <fermata/mirror/history.hpp>

#include <algorithm>

namespace fermata::mirror {
namespace {

void push(std::vector<sample>& to, const sample& s) {
  if (to.size() == history::most) to.erase(to.begin());
  to.push_back(s);
}

sample together(const std::vector<sample>& parts) {
  sample all = parts.back();
  all.length = {};
  all.requests = all.failures = all.sent_bytes = 0;
  for (const sample& s : parts) {
    all.length += s.length;
    all.requests += s.requests;
    all.failures += s.failures;
    all.sent_bytes += s.sent_bytes;
    all.latency_p50 = std::max(all.latency_p50, s.latency_p50);
    all.latency_p99 = std::max(all.latency_p99, s.latency_p99);
    all.longest_gap = std::max(all.longest_gap, s.longest_gap);
    all.rss_bytes = std::max(all.rss_bytes, s.rss_bytes);
  }
  return all;
}

}  // namespace

void history::add(const sample& s) {
  push(hour_, s);
  pending_.push_back(s);
  if (pending_.size() < per_long) return;
  push(day_, together(pending_));
  pending_.clear();
}

}  // namespace fermata::mirror
