// SPDX-License-Identifier: MIT
// fermata-probe: how long a server lets its clients wait, request by request.

#include "probe_run.hpp"
#include "probe_text.hpp"

#include <fermata/loop/error.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <string>

namespace {

using fermata::http::probe_bounds;
using fermata::http::probe_options;
using fermata::http::probe_report;
using fermata::http::probe_target;
using std::chrono::microseconds;

constexpr const char* usage = R"(usage: fermata-probe <url> [options]

Asks a URL at fixed times, and reports how long each answer took from when it was due.

  --interval-us <n>    time between two requests               [1000]
  --seconds <n>        how long; 0: until told to stop         [10]
  --connections <n>    most at a time                          [64]
  --if-none-match <t>  sent as it is; then 304 is as good as 200
  --json               one line of JSON instead of text
  --svg <file>         also draws latency over time and by percentile
  --max-p99 <time>     a bound, with its unit: 500us, 3ms, 1s
  --max-outage <time>  the longest time without a 200
  --max-errors <n>     errors, answers other than 200 and what was not answered
  --help, --version

It stops early on SIGTERM, SIGINT, or when its standard input, if a pipe, ends.
late_send is how late the probe itself was; figures near it say nothing of the server.

exit status: 0 measured and within the bounds, 1 a bound was not kept or it cannot probe,
             2 wrong usage
)";

struct arguments {
  std::string url;
  std::int64_t interval_us = 1000;
  double seconds = 10;
  std::size_t connections = 64;
  std::string if_none_match;
  bool json = false;
  std::string svg;
  double max_p99_us = -1;
  double max_outage_us = -1;
  std::int64_t max_errors = -1;
};

// Returns -1 to go on, else the exit status.
int read_arguments(int argc, char** argv, arguments& a) {
  CLI::App app;
  app.set_help_flag();
  bool help = false;
  bool version = false;
  const std::map<std::string, double> units = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}};
  const CLI::AsNumberWithUnit is_time(units, CLI::AsNumberWithUnit::UNIT_REQUIRED, "TIME");
  app.add_flag("--help,-h", help);
  app.add_flag("--version", version);
  app.add_flag("--json", a.json);
  app.add_option("url", a.url);
  app.add_option("--interval-us", a.interval_us)->check(CLI::Range(10, 60'000'000));
  app.add_option("--seconds", a.seconds)->check(CLI::Range(0.0, 1e6));
  app.add_option("--connections", a.connections)->check(CLI::Range(1, 10'000));
  app.add_option("--if-none-match", a.if_none_match);
  app.add_option("--svg", a.svg);
  app.add_option("--max-p99", a.max_p99_us)->transform(is_time)->check(CLI::NonNegativeNumber);
  app.add_option("--max-outage", a.max_outage_us)
      ->transform(is_time)
      ->check(CLI::NonNegativeNumber);
  app.add_option("--max-errors", a.max_errors)->check(CLI::NonNegativeNumber);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    fmt::print(stderr, "fermata-probe: {} (see --help)\n", e.what());
    return 2;
  }
  if (help) return std::fputs(usage, stdout), 0;
  if (version) return fmt::print("fermata-probe {}\n", FERMATA_VERSION), 0;
  if (!a.url.empty()) return -1;
  fmt::print(stderr, "fermata-probe: no URL is given (see --help)\n");
  return 2;
}

probe_bounds bounds_of(const arguments& a) {
  probe_bounds b;
  if (a.max_p99_us >= 0) b.p99 = microseconds(static_cast<std::int64_t>(a.max_p99_us));
  if (a.max_outage_us >= 0) b.outage = microseconds(static_cast<std::int64_t>(a.max_outage_us));
  if (a.max_errors >= 0) b.errors = static_cast<std::uint64_t>(a.max_errors);
  return b;
}

// Before the run, so that nobody waits for a drawing that cannot be kept.
std::ofstream open_drawing(const std::string& path) {
  std::ofstream out(path);
  if (!out) throw fermata::errno_error("cannot write " + path);
  return out;
}

void draw(std::ofstream& out, const std::string& path, probe_report& r, const std::string& url) {
  out << fermata::http::as_svg(r, url);
  if (!out.flush()) throw fermata::errno_error("cannot write " + path);
}

}  // namespace

int main(int argc, char** argv) {
  arguments a;
  if (const int status = read_arguments(argc, argv, a); status >= 0) return status;
  try {
    probe_options options;
    options.interval = microseconds(a.interval_us);
    options.duration = std::chrono::milliseconds(static_cast<std::int64_t>(a.seconds * 1000));
    options.most_connections = a.connections;
    options.if_none_match = a.if_none_match;
    std::ofstream drawing;
    if (!a.svg.empty()) drawing = open_drawing(a.svg);
    probe_report report = run_probe(probe_target::parse(a.url), options);
    const std::string told = a.json ? as_json(report) : as_text(report);
    std::fputs(told.c_str(), stdout);
    std::fflush(stdout);
    if (!a.svg.empty()) draw(drawing, a.svg, report, a.url);
    const auto broken = breaches(report, bounds_of(a));
    for (const std::string& line : broken) fmt::print(stderr, "fermata-probe: {}\n", line);
    return broken.empty() ? 0 : 1;
  } catch (const std::exception& e) {
    fmt::print(stderr, "fermata-probe: {}\n", e.what());
    return 1;
  }
}
