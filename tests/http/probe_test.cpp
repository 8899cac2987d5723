// SPDX-License-Identifier: MIT
// fermata-probe as a process, against a server of this one.

#include "client_support.hpp"
#include "server_support.hpp"
#include "support/places.hpp"
#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/http/server.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/pause.hpp>

#include <catch2/catch.hpp>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

using fermata::detach;
using fermata::event_loop;
using fermata::promise;
using fermata::ready;
using fermata::http::request;
using fermata::http::response;
using fermata::http::server;
using fermata::http::text_response;
using fermata::testing::options_of_run;
using namespace std::chrono_literals;

namespace {

const std::string program = fermata::test::binary_dir() + "/bin/fermata-probe";

bool is_built() {
  if (access(program.c_str(), X_OK) == 0) return true;
  std::cout << "skipped: fermata-probe is not built\n";
  return false;
}

// What a shell command prints, with its exit status behind.
std::string output_of(const std::string& command) {
  std::string out;
  std::array<char, 4096> bytes;
  std::FILE* pipe = popen((command + " 2>&1; echo \"status $?\"").c_str(), "r");
  while (const std::size_t n = std::fread(bytes.data(), 1, bytes.size(), pipe))
    out.append(bytes.data(), n);
  pclose(pipe);
  return out;
}

long long figure(const std::string& json, const std::string& name) {
  const std::size_t at = json.find("\"" + name + "\":");
  return at == std::string::npos ? -1 : std::atoll(json.c_str() + at + name.size() + 3);
}

promise<response> ok(const request& r) {
  if (r.path() == "/none") co_return text_response(404, "none");
  if (r.find_header("If-None-Match") == "\"one\"") co_return response(304);
  if (r.path() == "/slow") co_await fermata::sleep_for(50ms);
  co_return text_response(200, "ok");
}

// Runs the probe beside a server; `%` in `arguments` stands for the server's URL.
std::string probed(std::string arguments) {
  event_loop loop(options_of_run());
  server s(ok);
  const std::string url = "http://" + s.listen("127.0.0.1:0");
  arguments.replace(arguments.find('%'), 1, url);
  return loop.run([&]() -> promise<std::string> {
    promise<std::string> running = detach(output_of, program + " " + arguments);
    std::string out = co_await std::move(running);
    co_await s.shutdown(1s);
    co_return out;
  });
}

}  // namespace

TEST_CASE("probe asks at fixed times and counts answers", "[http][probe]") {
  if (!is_built()) return;
  const std::string out = probed("%/ --seconds 0.3 --interval-us 2000 --json < /dev/null");
  CAPTURE(out);
  CHECK(figure(out, "requests") == 150);
  CHECK(figure(out, "answers") == 150);
  CHECK(figure(out, "non_200") == 0);
  CHECK(figure(out, "errors") == 0);
  CHECK(figure(out, "p50_us") > 0);
  CHECK(figure(out, "max_us") >= figure(out, "p99_us"));
  CHECK(out.find("\nstatus 0") != std::string::npos);
}

TEST_CASE("probe counts what is not 200", "[http][probe]") {
  if (!is_built()) return;
  const std::string out = probed("%/none --seconds 0.1 --interval-us 10000 --json < /dev/null");
  CAPTURE(out);
  CHECK(figure(out, "non_200") == 10);
  CHECK(figure(out, "longest_outage_us") >= 90'000);
}

TEST_CASE("probe asks with a condition, and 304 is then good", "[http][probe]") {
  if (!is_built()) return;
  const std::string some = " --seconds 0.1 --interval-us 10000 --json < /dev/null";
  CHECK(figure(probed("%/ --if-none-match '\"one\"'" + some), "non_200") == 0);
  CHECK(figure(probed("%/ --if-none-match '\"two\"'" + some), "non_200") == 0);
  CHECK(figure(probed("%/none --if-none-match '\"two\"'" + some), "non_200") == 10);
}

TEST_CASE("probe sends on while answers are late", "[http][probe]") {
  if (!is_built()) return;
  const std::string out =
      probed("%/slow --seconds 0.5 --interval-us 5000 --connections 4 --json < /dev/null");
  CAPTURE(out);
  CHECK(figure(out, "requests") == 100);
  CHECK(figure(out, "answers") + figure(out, "unanswered") == 100);
  CHECK(figure(out, "connections") == 4);
  CHECK(figure(out, "p50_us") > 100'000);  // four of them give 80 a second: the queue grows
}

TEST_CASE("probe stops when its input ends", "[http][probe]") {
  if (!is_built()) return;
  const std::string out = "sleep 0.2 | " + program;
  CAPTURE(out);
  event_loop loop(options_of_run());
  server s(ok);
  const std::string url = "http://" + s.listen("127.0.0.1:0");
  const std::string text = loop.run([&]() -> promise<std::string> {
    promise<std::string> running =
        detach(output_of, out + " " + url + "/ --seconds 60 --interval-us 5000 --json");
    co_return co_await std::move(running);
  });
  CHECK(figure(text, "requests") >= 10);
  CHECK(figure(text, "requests") < 2000);
}

TEST_CASE("probe says what is wrong with its arguments", "[http][probe]") {
  if (!is_built()) return;
  CHECK(output_of(program) == "fermata-probe: no URL is given (see --help)\nstatus 2\n");
  CHECK(output_of(program + " ftp://x") ==
        "fermata-probe: cannot probe ftp://x: the URL does not begin with http://\nstatus 1\n");
  CHECK(output_of(program + " --help").starts_with("usage: fermata-probe <url> [options]\n"));
}

TEST_CASE("probe counts refused connections", "[http][probe]") {
  if (!is_built()) return;
  const std::string out = output_of(
      program + " http://127.0.0.1:1/ --seconds 0.1 --interval-us 10000 --json < /dev/null");
  CAPTURE(out);
  CHECK(figure(out, "errors") == 10);
  CHECK(figure(out, "answers") == 0);
}

TEST_CASE("probe holds a service to bounds", "[http][probe]") {
  if (!is_built()) return;
  const std::string some = "--seconds 0.1 --interval-us 10000 < /dev/null";
  const std::string kept = probed("%/ --max-p99 10s --max-outage 10s --max-errors 0 " + some);
  CHECK(kept.find("\nstatus 0") != std::string::npos);
  const std::string failed = probed("%/none --max-errors 9 --max-outage 1ms " + some);
  CHECK(failed.find("\nfermata-probe: 10 requests failed, over 9\n") != std::string::npos);
  CHECK(failed.find("\nfermata-probe: the longest outage is ") != std::string::npos);
  CHECK(failed.find("\nstatus 1") != std::string::npos);
  const std::string slow = probed("%/slow --max-p99 20ms " + some);
  CHECK(slow.find(" us, over 20000 us\n") != std::string::npos);
  CHECK(slow.find("\nstatus 1") != std::string::npos);
  const std::string none = output_of(program + " http://127.0.0.1:1/ --max-p99 10s " + some);
  CHECK(none.find("no request was answered: there is no p99\nstatus 1") != std::string::npos);
  const std::string unit = output_of(program + " http://h/ --max-p99 5");
  CHECK(unit.find("status 2") != std::string::npos);
}

TEST_CASE("probe prints a histogram and draws it", "[http][probe]") {
  if (!is_built()) return;
  const fermata::test::temp_folder folder;
  const std::string svg = (folder.path() / "p.svg").string();
  const std::string out =
      probed("%/slow --seconds 0.2 --interval-us 10000 --svg " + svg + " < /dev/null");
  CAPTURE(out);
  CHECK(out.find(" us ") != std::string::npos);
  CHECK(out.find(" ########") != std::string::npos);
  std::ifstream file(svg);
  const std::string drawn((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  CHECK(drawn.starts_with("<svg xmlns="));
  CHECK(drawn.ends_with("</svg>\n"));
  CHECK(drawn.find("20 requests, 0 failed") != std::string::npos);
  const std::string json = probed("%/ --json --seconds 0.1 --interval-us 10000 < /dev/null");
  const std::size_t at = json.find("\"histogram_us\":[[");
  CHECK(at != std::string::npos);
  const std::string lost = probed("%/ --seconds 0.1 --svg /absent/p.svg < /dev/null");
  CHECK(lost.find("fermata-probe: cannot write /absent/p.svg: no such file or directory") !=
        std::string::npos);
}

TEST_CASE("probe reads answers in chunks and up to the end", "[http][probe]") {
  if (!is_built()) return;
  const auto answered = [](const std::string& text, bool ends) {
    event_loop loop(options_of_run());
    fermata::http::test::raw_server s(fermata::http::test::says(text, ends));
    return loop.run([&] {
      return detach(output_of, program + " " + s.url() +
                                   " --json --seconds 0.1 --interval-us 10000 < /dev/null");
    });
  };
  const std::string chunked = answered(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: "
      "x\r\n\r\n",
      false);
  CAPTURE(chunked);
  CHECK(figure(chunked, "answers") == 10);
  CHECK(figure(chunked, "errors") == 0);
  const std::string ended = answered("HTTP/1.0 200 OK\r\n\r\nall of it", true);
  CAPTURE(ended);
  CHECK(figure(ended, "answers") == 10);
  const std::string broken =
      answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", true);
  CHECK(figure(broken, "errors") == 10);
}
