// SPDX-License-Identifier: MIT
// Two plots: the longest latency over time, and the latency that a share of the requests exceeds.
// Both axes of latency are logarithmic, so that a stall and the usual answer are seen in one.

#include "probe_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>

namespace fermata::http {
namespace {

constexpr double width = 860;
constexpr double left = 70;
constexpr double right = width - 20;
constexpr double plot_height = 190;

constexpr std::string_view style = R"(<style>
text{font:12px system-ui,sans-serif;fill:#444}
.title{font-size:15px;font-weight:600;fill:#111}
.back{fill:#fff}.grid{stroke:#ddd}.line{stroke:#2266cc;fill:none;stroke-width:1.5}
.bar{fill:#2266cc}.failed{fill:#cc3322}
@media(prefers-color-scheme:dark){text{fill:#bbb}.title{fill:#eee}.back{fill:#16181c}
.grid{stroke:#333}.line{stroke:#7ab0ff}.bar{fill:#7ab0ff}.failed{fill:#ff7a66}}
</style>
)";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string short_time(double us) {
  if (us >= 1e6) return fmt::format("{:g} s", us / 1e6);
  if (us >= 1e3) return fmt::format("{:g} ms", us / 1e3);
  return fmt::format("{:g} us", us);
}

/// A logarithmic axis of microseconds in whole powers of ten.
struct latency_axis {
  double top = 0;  // of the plot, in the picture
  int low = 0;     // powers of ten
  int high = 1;
  [[nodiscard]] double at(double us) const {
    const double share = (std::log10(std::max(us, 1.0)) - low) / (high - low);
    return top + plot_height * (1 - std::clamp(share, 0.0, 1.0));
  }
  [[nodiscard]] std::string grid() const {
    std::string out;
    for (int p = low; p <= high; ++p) {
      const double us = std::pow(10, p);
      fmt::format_to(std::back_inserter(out),
                     "<path class=\"grid\" d=\"M{:.0f} {:.1f}H{:.0f}\"/>"
                     "<text x=\"{:.0f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                     left, at(us), right, left - 8, at(us) + 4, short_time(us));
    }
    return out;
  }
};

latency_axis axis_for(latency_log& l, double top) {
  latency_axis a;
  a.top = top;
  const auto power = [](std::chrono::microseconds d) {
    return std::log10(std::max<double>(1, static_cast<double>(d.count())));
  };
  a.low = static_cast<int>(std::floor(power(l.percentile(0))));
  a.high = std::max(a.low + 1, static_cast<int>(std::ceil(power(l.longest()))));
  return a;
}

std::string title(double y, std::string_view text) {
  return fmt::format("<text class=\"title\" x=\"{:.0f}\" y=\"{:.0f}\">{}</text>\n", left, y, text);
}

std::string over_time(const probe_report& r, const latency_axis& axis) {
  const auto& slots = r.timeline.slots();
  const double each = (right - left) / static_cast<double>(std::max<std::size_t>(slots.size(), 1));
  const double bottom = axis.top + plot_height;
  std::string out;
  const auto to = std::back_inserter(out);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const probe_slot& s = slots[i];
    if (s.answers + s.failures == 0) continue;
    const double y = axis.at(static_cast<double>(s.longest.count()) / 1000);
    fmt::format_to(
        to, "<rect class=\"{}\" x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.1f}\"/>\n",
        s.failures > 0 ? "failed" : "bar", left + each * static_cast<double>(i), y,
        std::max(each - 0.3, 0.5), std::max(bottom - y, 1.0));
  }
  const double seconds = std::chrono::duration<double>(r.timeline.slot_time()).count() *
                         static_cast<double>(slots.size());
  fmt::format_to(to,
                 "<text x=\"{:.0f}\" y=\"{:.0f}\">0 s</text>"
                 "<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"end\">{:.3g} s</text>\n",
                 left, bottom + 16, right, bottom + 16, seconds);
  return out;
}

// x is the number of nines: each fifth of the width leaves a tenth of the requests.
std::string by_percentile(latency_log& l, const latency_axis& axis) {
  constexpr int decades = 5;
  const double each = (right - left) / decades;
  std::string out;
  const auto to = std::back_inserter(out);
  fmt::format_to(to, "<path class=\"line\" d=\"");
  constexpr int steps = 40;
  for (int i = 0; i <= decades * steps; ++i) {
    const double nines = static_cast<double>(i) / steps;
    const double percent = 100 * (1 - std::pow(10, -nines));
    fmt::format_to(to, "{}{:.1f} {:.1f}", i == 0 ? 'M' : 'L', left + each * nines,
                   axis.at(static_cast<double>(l.percentile(percent).count())));
  }
  fmt::format_to(to, "\"/>\n");
  constexpr const char* names[] = {"0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"};
  for (int i = 0; i <= decades; ++i) {
    fmt::format_to(to, "<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"{}\">{}</text>\n",
                   left + each * i, axis.top + plot_height + 16, i == decades ? "end" : "middle",
                   names[i]);
  }
  return out;
}

}  // namespace

std::string as_svg(probe_report& r, const std::string& url) {
  const latency_axis time_axis = axis_for(r.latency, 80);
  const latency_axis share_axis = axis_for(r.latency, 350);
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0f} 580\" role=\"img\">\n{}"
      "<rect class=\"back\" width=\"{:.0f}\" height=\"580\"/>\n",
      width, style, width);
  out += title(26, escaped(url));
  out += fmt::format(
      "<text x=\"{:.0f}\" y=\"46\">{} requests, {} failed; p50 {}, p99 {}, longest {}, outage "
      "{}</text>\n",
      left, r.requests, r.errors + r.non_200 + r.unanswered,
      short_time(static_cast<double>(r.latency.percentile(50).count())),
      short_time(static_cast<double>(r.latency.percentile(99).count())),
      short_time(static_cast<double>(r.latency.longest().count())),
      short_time(std::round(static_cast<double>(r.longest_outage.count()) / 1000)));
  out += fmt::format(
      "<text x=\"{:.0f}\" y=\"68\">longest latency over time; red: a request failed</text>\n",
      left);
  out += time_axis.grid() + over_time(r, time_axis);
  out += fmt::format("<text x=\"{:.0f}\" y=\"338\">latency by percentile</text>\n", left);
  out += share_axis.grid() + by_percentile(r.latency, share_axis);
  return out + "</svg>\n";
}

}  // namespace fermata::http
