// SPDX-License-Identifier: MIT
#include "phase_meter.hpp"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <utility>

namespace fermata::mirror {
namespace {

long long us(std::chrono::nanoseconds d) {
  return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}

std::chrono::nanoseconds thread_cpu() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
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
  cpu_before_ = thread_cpu();
  note_gaps();
  phase_longest_ = gap_report();
}

// Puts what the loop has measured where it belongs, and lets it measure anew.
void phase_meter::note_gaps() {
  const gap_report gap = loop_.metrics().longest_gap;
  longest_ = longer(longest_, gap);
  phase_longest_ = longer(phase_longest_, gap);
  recent_ = std::max(recent_, gap.wall);
  loop_.reset_gaps();
}

std::chrono::nanoseconds phase_meter::take_recent() {
  note_gaps();
  return std::exchange(recent_, {});
}

void phase_meter::end() {
  if (phase_.empty()) return;
  phase_report report;
  report.phase = std::exchange(phase_, {});
  report.elapsed = loop_.now() - began_;
  report.cpu = thread_cpu() - cpu_before_;
  report.looks = loop_.metrics().looks - looks_before_;
  note_gaps();
  report.gap = phase_longest_;
  loop_.log(log_level::info, "mirror",
            fmt::format(
                "phase finished phase={} ms={} cpu_us={} longest_gap_us={} longest_gap_cpu_us={} "
                "voluntary_switches={} looks={} site={} cpu_site={}",
                report.phase, us(report.elapsed) / 1000, us(report.cpu), us(report.gap.wall),
                us(report.gap.cpu), report.gap.voluntary_switches, report.looks,
                fermata::to_string(report.gap.wall_site), fermata::to_string(report.gap.cpu_site)));
  if (hook_) hook_(report);
}

gap_report phase_meter::longest() const { return longer(longest_, loop_.metrics().longest_gap); }

}  // namespace fermata::mirror
