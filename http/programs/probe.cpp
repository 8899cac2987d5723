// SPDX-License-Identifier: MIT
// fermata-probe: how long a server lets its clients wait, request by request.

#include "probe_run.hpp"

#include <fermata/loop/error.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>

namespace {

using fermata::http::latency_log;
using fermata::http::probe_options;
using fermata::http::probe_report;
using fermata::http::probe_target;

constexpr const char* usage = R"(usage: fermata-probe <url> [options]

Asks a URL at fixed times, and reports how long each answer took from when it was due.

  --interval-us <n>    time between two requests               [1000]
  --seconds <n>        how long; 0: until told to stop         [10]
  --connections <n>    most at a time                          [64]
  --json               one line of JSON instead of text
  --help, --version

It stops early on SIGTERM, SIGINT, or when its standard input, if a pipe, ends.
late_send is how late the probe itself was; figures near it say nothing of the server.

exit status: 0 measured, 1 cannot probe, 2 wrong usage
)";

struct arguments {
  std::string url;
  std::int64_t interval_us = 1000;
  double seconds = 10;
  std::size_t connections = 64;
  bool json = false;
};

long long us(std::chrono::nanoseconds d) {
  return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}

void print_json(probe_report& r) {
  latency_log& l = r.latency;
  latency_log& own = r.late_send;
  fmt::print(
      R"({{"requests":{},"answers":{},"non_200":{},"errors":{},"unanswered":{},)"
      R"("p50_us":{},"p90_us":{},"p99_us":{},"p999_us":{},"max_us":{},"longest_outage_us":{},)"
      R"("late_send":{{"p50_us":{},"p99_us":{},"max_us":{}}},"connections":{},"seconds":{:.3f}}})"
      "\n",
      r.requests, r.answers, r.non_200, r.errors, r.unanswered, us(l.percentile(50)),
      us(l.percentile(90)), us(l.percentile(99)), us(l.percentile(99.9)), us(l.longest()),
      us(r.longest_outage), us(own.percentile(50)), us(own.percentile(99)), us(own.longest()),
      r.connections, std::chrono::duration<double>(r.duration).count());
}

void print_text(probe_report& r) {
  latency_log& l = r.latency;
  latency_log& own = r.late_send;
  fmt::print("requests {} in {:.1f} s, answers {}, non-200 {}, errors {}, unanswered {}\n",
             r.requests, std::chrono::duration<double>(r.duration).count(), r.answers, r.non_200,
             r.errors, r.unanswered);
  fmt::print("latency    p50 {} us, p90 {} us, p99 {} us, p99.9 {} us, max {} us\n",
             us(l.percentile(50)), us(l.percentile(90)), us(l.percentile(99)),
             us(l.percentile(99.9)), us(l.longest()));
  fmt::print("longest outage {} us, connections {}\n", us(r.longest_outage), r.connections);
  fmt::print("late_send  p50 {} us, p99 {} us, max {} us\n", us(own.percentile(50)),
             us(own.percentile(99)), us(own.longest()));
}

// Returns -1 to go on, else the exit status.
int read_arguments(int argc, char** argv, arguments& a) {
  CLI::App app;
  app.set_help_flag();
  bool help = false;
  bool version = false;
  app.add_flag("--help,-h", help);
  app.add_flag("--version", version);
  app.add_flag("--json", a.json);
  app.add_option("url", a.url);
  app.add_option("--interval-us", a.interval_us)->check(CLI::Range(10, 60'000'000));
  app.add_option("--seconds", a.seconds)->check(CLI::Range(0.0, 1e6));
  app.add_option("--connections", a.connections)->check(CLI::Range(1, 10'000));
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

}  // namespace

int main(int argc, char** argv) {
  arguments a;
  if (const int status = read_arguments(argc, argv, a); status >= 0) return status;
  try {
    probe_options options;
    options.interval = std::chrono::microseconds(a.interval_us);
    options.duration = std::chrono::milliseconds(static_cast<std::int64_t>(a.seconds * 1000));
    options.most_connections = a.connections;
    probe_report report = run_probe(probe_target::parse(a.url), options);
    a.json ? print_json(report) : print_text(report);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "fermata-probe: {}\n", e.what());
    return 1;
  }
}
