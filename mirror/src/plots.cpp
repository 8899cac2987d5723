// SPDX-License-Identifier: MIT
// The drawing is stretched to the width of the page, so it holds lines alone; words and numbers
// stand beside it as text.

#include "plots.hpp"

#include "text.hpp"

#include <fermata/loop/budget.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string_view>

namespace fermata::mirror {
namespace {

constexpr double width = 360;
constexpr double height = 90;

struct line {
  std::string_view colour;
  std::vector<double> values;
};

double largest(const std::vector<double>& values) {
  return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
}

double x_of(std::size_t i, std::size_t count) {
  return count < 2 ? width : width * static_cast<double>(i) / static_cast<double>(count - 1);
}

std::string path_of(const std::vector<double>& values, double top) {
  std::string path;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double share = top > 0 ? std::min(values[i] / top, 1.0) : 0;
    path += fmt::format("{}{:.1f} {:.1f}", i == 0 ? 'M' : 'L', x_of(i, values.size()),
                        height - share * (height - 4));
  }
  return path;
}

std::string drawing(const std::vector<line>& lines, double top, double bound) {
  std::string svg = fmt::format(
      R"(<svg class="plot" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">)",
      width, height);
  if (bound > 0 && bound < top) {
    const double y = height - bound / top * (height - 4);
    svg += fmt::format(R"(<path d="M0 {0:.1f}H{1}" class="bound"/>)", y, width);
  }
  for (const line& l : lines) {
    const std::string path = path_of(l.values, top);
    if (path.empty()) continue;
    if (&l == &lines.front()) {
      svg += fmt::format(R"(<path d="{0}L{1} {2}L{3:.1f} {2}Z" class="area {4}"/>)", path, width,
                         height, x_of(0, l.values.size()), l.colour);
    }
    svg += fmt::format(R"(<path d="{}" class="line {}"/>)", path, l.colour);
  }
  return svg + "</svg>";
}

using words_of = std::function<std::string(double)>;

std::string figure(std::string_view title,
                   const std::vector<line>& lines,
                   std::string_view legend,
                   double bound,
                   const words_of& words) {
  double top = bound * 1.25;
  for (const line& l : lines) top = std::max(top, largest(l.values) * 1.1);
  const line& main = lines.front();
  const double newest = main.values.empty() ? 0 : main.values.back();
  return fmt::format(
      "<figure><figcaption>{}<span><strong>{}</strong> now, {} at most</span></figcaption>{}"
      "<p>{}</p></figure>\n",
      title, words(newest), words(largest(main.values)), drawing(lines, top, bound), legend);
}

std::vector<double> values_of(const std::vector<sample>& samples,
                              const std::function<double(const sample&)>& get) {
  std::vector<double> values;
  for (const sample& s : samples) values.push_back(get(s));
  return values;
}

double us(std::chrono::nanoseconds d) { return static_cast<double>(d.count()) / 1000; }

std::string us_words(double us) {
  return us < 1 ? "0" : human_microseconds(static_cast<std::uint64_t>(us), "&micro;");
}

std::string rate_words(double rate) {
  return rate < 100 ? fmt::format("{:.1f}", rate) : with_commas(static_cast<std::uint64_t>(rate));
}

std::string span_words(const std::vector<sample>& samples) {
  std::chrono::milliseconds all{0};
  for (const sample& s : samples) all += s.length;
  return human_duration(std::max(all, std::chrono::milliseconds(1000)));
}

}  // namespace

std::string plots(const std::vector<sample>& samples) {
  if (samples.empty()) return "<p class=\"site\">Nothing measured yet.</p>";
  const std::string ago = "<span>" + span_words(samples) + " ago</span>";
  const auto legend = [&ago](std::string_view what) {
    return fmt::format("{}<span>{}</span><span>now</span>", ago, what);
  };
  const double bound = static_cast<double>(gap_bound / std::chrono::microseconds(1));
  std::string html =
      figure("Requests a second",
             {{"busy", values_of(samples,
                                 [](const sample& s) {
                                   const auto ms = static_cast<double>(s.length.count());
                                   return ms > 0 ? static_cast<double>(s.requests) * 1000 / ms : 0;
                                 })}},
             legend(""), 0, rate_words);
  html += figure("Time to answer",
                 {{"good", values_of(samples, [](const sample& s) { return us(s.latency_p99); })},
                  {"idle", values_of(samples, [](const sample& s) { return us(s.latency_p50); })}},
                 legend("p99, below it p50"), 0, us_words);
  html += figure("Longest gap",
                 {{"warn", values_of(samples, [](const sample& s) { return us(s.longest_gap); })}},
                 legend("dashed: the bound"), bound, us_words);
  return html;
}

}  // namespace fermata::mirror
