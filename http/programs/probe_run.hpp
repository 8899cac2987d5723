// SPDX-License-Identifier: MIT
// The measurement of fermata-probe: an open loop of GET requests.
#pragma once

#include "probe_target.hpp"
#include "probe_timeline.hpp"

#include <fermata/http/latency_log.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace fermata::http {

struct probe_options {
  std::chrono::microseconds interval{1000};
  std::chrono::milliseconds duration{0};  // 0: until SIGTERM, SIGINT or the end of stdin
  std::size_t most_connections = 64;
  std::string if_none_match;  // sent where it is not empty; then 304 is as good as 200
};

struct probe_report {
  latency_log latency;  // from the intended send time to the last byte of the answer
  probe_timeline timeline;
  latency_log late_send;  // how late the probe itself was, of requests that found a free connection
  std::uint64_t requests = 0;
  std::uint64_t answers = 0;
  std::uint64_t non_200 = 0;     // nor 304 where that is good
  std::uint64_t errors = 0;      // connections refused, cut or beyond understanding
  std::uint64_t unanswered = 0;  // when the probe stopped; their time so far counts as latency
  std::size_t connections = 0;   // most at a time
  std::chrono::nanoseconds longest_outage{
      0};  // between two that are good, also from the start and to the end
  std::chrono::nanoseconds duration{0};
};

/// Probes until the time is over or the process is told to stop.
/// Throws: `error` where the host has no address or the kernel refuses a descriptor.
probe_report run_probe(const probe_target& target, const probe_options& options);

}  // namespace fermata::http
