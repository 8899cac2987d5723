// SPDX-License-Identifier: MIT
// What an operator stands beside fermata-mirror: systemd, Prometheus.

#include "program_support.hpp"

#include <fermata/promise/run_command.hpp>

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <regex>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

bool is_there(const std::string& program) {
  return std::system(("command -v " + program + " >/dev/null").c_str()) == 0;
}

// The end of NOTIFY_SOCKET that systemd has.
class notify_socket {
public:
  explicit notify_socket(const std::string& path) : path_(path) {
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    const timeval patience{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~notify_socket() { ::close(fd_); }
  [[nodiscard]] const std::string& path() const { return path_; }
  std::string next() {
    std::array<char, 4096> bytes{};
    const ssize_t n = ::recv(fd_, bytes.data(), bytes.size(), 0);
    return n < 0 ? "nothing came" : std::string(bytes.data(), static_cast<std::size_t>(n));
  }

private:
  std::string path_;
  int fd_ = -1;
};

}  // namespace

TEST_CASE("systemd is told of readiness, of life and of the end", "[mirror][operator]") {
  const temp_folder folder;
  make_repository(folder);
  notify_socket manager((folder.path() / "notify").string());
  mirror_process m({"--remote", (folder.path() / "r").string()},
                   {"NOTIFY_SOCKET=" + manager.path(), "WATCHDOG_USEC=20000"});
  CHECK_THAT(manager.next(), StartsWith("READY=1\nSTATUS="));
  CHECK_THAT(m.line(), StartsWith("serving"));
  std::string told = manager.next();
  CHECK_THAT(told, StartsWith("WATCHDOG=1\nSTATUS="));
  for (int i = 0; i < 100 && told.find("serving ") == std::string::npos; ++i) told = manager.next();
  CHECK_THAT(told, Contains("STATUS=ready, serving " + head_of(folder).substr(0, 12)));
  CHECK(m.stop(SIGTERM).is_success());
  for (int i = 0; i < 1000 && told != "STOPPING=1"; ++i) told = manager.next();
  CHECK(told == "STOPPING=1");
}

TEST_CASE("Prometheus takes the metrics", "[mirror][operator]") {
  if (!is_there("promtool")) {
    std::cout << "skipped: promtool\n";
    return;
  }
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  s.wait_for("served");
  s.get("/repo");
  s.get("/nothing");
  const answer metrics = s.get("/metrics");
  CHECK(metrics.field("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK_THAT(metrics.body,
             Contains("fermata_http_requests_total{endpoint=\"repo\",code=\"2xx\"} 1\n") &&
                 Contains("fermata_http_requests_total{endpoint=\"other\",code=\"4xx\"} 1\n") &&
                 Contains("fermata_mirror_ready 1\n") &&
                 Contains("fermata_mirror_updates_total 1\n"));
  run_options given;
  given.input = metrics.body;
  command c({"promtool", "check", "metrics"});
  c.in = stdio::pipe;
  c.out = stdio::pipe;
  c.err = stdio::pipe;
  const run_result checked = s.loop.run([&] { return run_command(std::move(c), given); });
  CHECK(checked.out + checked.err == "");
  CHECK(checked.status.is_success());
}

TEST_CASE("what the dashboard and the manual ask Prometheus for is there", "[mirror][operator]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_for(folder);
  options.data_directory = (folder.path() / "data").string();
  site s(std::move(options));
  s.wait_for("phase save");
  s.get("/repo");
  const std::string metrics = s.get("/metrics").body;
  const std::regex name("fermata_[a-z0-9_]+");
  std::size_t names = 0;
  for (const char* file : {"/mirror/packaging/grafana-dashboard.json", "/docs/mirror.md"}) {
    std::ifstream in(fermata::test::source_dir() + file);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at, ++names) {
      INFO(file << ": " << at->str());
      const bool is_there = metrics.find("\n" + at->str() + " ") != std::string::npos ||
                            metrics.find("\n" + at->str() + "{") != std::string::npos;
      CHECK(is_there);
    }
  }
  CHECK(names > 20);
}
