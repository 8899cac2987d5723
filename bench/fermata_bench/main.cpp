// SPDX-License-Identifier: MIT
// fermata-bench: one case, once, as lines `figure unit value`; or one server for a load generator.

#include "cases.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr const char* usage = R"(usage: fermata-bench [--ms <n>] <case>
       fermata-bench list
       fermata-bench serve-echo <port>
       fermata-bench serve-fib <port> <workers>
       fermata-bench serve-http <port> [<file> [<folder>]]

Runs one case once, with its own warm-up, and prints lines "figure unit value".

  list          the names of the cases, one a line
  serve-echo    TCP echo on 127.0.0.1
  serve-fib     lines "N" answered with the Fibonacci number of N by <workers> threads
  serve-http    "/" 13 bytes, "/1k" 1,024 bytes, "/10m" that file from memory,
                "/f/..." the files of that folder
  --ms <n>      how long a figure is timed, also in FERMATA_BENCH_MS   [700]
  --help, --version

A server prints "ready" when it listens, "ready <port>" where port 0 was given, and ends on SIGTERM.
HOG_SECONDS in the environment is the work of c12, c12m and c12k [10, else what --ms says].

exit status: 0 measured, 1 a case failed, 2 wrong usage
)";

struct named_case {
  std::string_view name;
  void (*run)(const bench::settings&);
};

constexpr std::array cases = {
    named_case{"c1", bench::run_settled},
    named_case{"c2", bench::run_pending},
    named_case{"c3", bench::run_pauses},
    named_case{"c4", bench::run_sort},
    named_case{"c5", bench::run_join},
    named_case{"c6", bench::run_queue},
    named_case{"c7", bench::run_detach},
    named_case{"c9", bench::run_sleepers},
    named_case{"c12", bench::run_one_hog},
    named_case{"c12m", bench::run_many_hogs},
    named_case{"c12k", bench::run_checking_hogs},
    named_case{"trace", bench::run_trace},
};

int refuse(std::string_view why) {
  fmt::print(stderr, "fermata-bench: {} (see --help)\n", why);
  return 2;
}

std::optional<unsigned> number(const std::string& text, unsigned most) {
  unsigned value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end || value > most) return std::nullopt;
  return value;
}

int serve(const std::vector<std::string>& words) {
  const std::string& what = words.front();
  const auto port = words.size() > 1 ? number(words[1], 65'535) : std::nullopt;
  if (!port) return refuse(what + " takes a port from 0 to 65535");
  const auto at = static_cast<std::uint16_t>(*port);
  if (what == "serve-echo" && words.size() == 2) {
    bench::serve_echo(at);
  } else if (what == "serve-http" && words.size() <= 4) {
    bench::serve_http(at, words.size() > 2 ? words[2] : "", words.size() > 3 ? words[3] : "");
  } else if (what == "serve-fib" && words.size() == 3) {
    const auto workers = number(words[2], 1000);
    if (!workers || *workers == 0) return refuse("serve-fib takes 1 to 1000 workers");
    bench::serve_fib(at, *workers);
  } else {
    return refuse("wrong number of arguments for " + what);
  }
  return 0;
}

int run_case(const std::vector<std::string>& words, const bench::settings& s) {
  if (words.size() != 1) return refuse("one case is run at a time");
  if (words.front() == "list") {
    for (const named_case& c : cases) fmt::print("{}\n", c.name);
    return 0;
  }
  for (const named_case& c : cases) {
    if (c.name != words.front()) continue;
    c.run(s);
    return 0;
  }
  return refuse("no case is called " + words.front());
}

int run(int argc, char** argv) {
  CLI::App app;
  app.set_help_flag();
  bool help = false;
  bool version = false;
  unsigned ms = 0;
  std::vector<std::string> words;
  app.add_flag("--help,-h", help);
  app.add_flag("--version", version);
  app.add_option("--ms", ms)->check(CLI::Range(1, 600'000))->envname("FERMATA_BENCH_MS");
  app.add_option("words", words);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return refuse(e.what());
  }
  if (help) return std::fputs(usage, stdout), 0;
  if (version) return fmt::print("fermata-bench {}\n", FERMATA_VERSION), 0;
  if (words.empty()) return refuse("no case is given");
  if (words.front().starts_with("serve-")) return serve(words);
  bench::settings s;
  s.is_short = ms > 0;
  if (s.is_short) s.timing = std::chrono::milliseconds(ms);
  return run_case(words, s);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const bench::wrong_usage& e) {
    return refuse(e.what());
  } catch (const std::exception& e) {
    fmt::print(stderr, "fermata-bench: {}\n", e.what());
    return 1;
  }
}
