// SPDX-License-Identifier: MIT
// The service's figures as Prometheus reads them.
#pragma once

#include "request_meter.hpp"

#include <fermata/loop/metrics.hpp>
#include <fermata/mirror/service.hpp>
#include <fermata/mirror/service_status.hpp>

#include <map>
#include <string>

namespace fermata::mirror {

/// How often phases have run, and how long they took.
struct phase_times {
  histogram elapsed;
  std::chrono::nanoseconds longest_gap{0};
};
using phase_table = std::map<std::string, phase_times, std::less<>>;

/// Text format 0.0.4; names begin with `fermata_`. Cost: about 0.3 ms.
[[nodiscard]] std::string metrics_text(const service_status& status,
                                       const request_meter& requests,
                                       const phase_table& phases,
                                       const http::server_counters& server,
                                       const loop_metrics& loop);

}  // namespace fermata::mirror
