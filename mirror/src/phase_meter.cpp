// SPDX-License-Identifier: MIT
#include "phase_meter.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fermata::mirror {
namespace {

long long us(std::chrono::nanoseconds d) {
  return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}

gap_report longer(const gap_report& a, const gap_report& b) {
  gap_report both = a.wall >= b.wall ? a : b;
  const gap_report& dearer = a.cpu >= b.cpu ? a : b;
  both.cpu = dearer.cpu;
  both.cpu_site = dearer.cpu_site;
  both.voluntary_switches = std::max(a.voluntary_switches, b.voluntary_switches);
  return both;
}

}  // namespace

void phase_meter::begin(std::string_view phase) {
  end();
  phase_ = phase;
  began_ = loop_.now();
  looks_before_ = loop_.metrics().looks;
  loop_.reset_gaps();
}

void phase_meter::end() {
  if (phase_.empty()) return;
  phase_report report;
  report.phase = std::exchange(phase_, {});
  report.elapsed = loop_.now() - began_;
  report.looks = loop_.metrics().looks - looks_before_;
  report.gap = loop_.metrics().longest_gap;
  longest_ = longer(longest_, report.gap);
  loop_.log(log_level::info, "mirror",
            fmt::format("phase finished phase={} ms={} longest_gap_us={} longest_gap_cpu_us={} "
                        "voluntary_switches={} looks={} site={} cpu_site={}",
                        report.phase, us(report.elapsed) / 1000, us(report.gap.wall),
                        us(report.gap.cpu), report.gap.voluntary_switches, report.looks,
                        fermata::to_string(report.gap.wall_site),
                        fermata::to_string(report.gap.cpu_site)));
  if (hook_) hook_(report);
}

gap_report phase_meter::longest() const { return longer(longest_, loop_.metrics().longest_gap); }

}  // namespace fermata::mirror
