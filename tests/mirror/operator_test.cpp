// SPDX-License-Identifier: MIT
// What an operator stands beside fermata-mirror: systemd, Prometheus.

#include "program_support.hpp"

#include <fermata/mirror/access_log.hpp>
#include <fermata/promise/run_command.hpp>
#include <fermata/promise/sleep.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <regex>
#include <span>

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
  // Such a socket holds ten messages and loses more: a machine with other work reads late.
  mirror_process m({"--remote", (folder.path() / "r").string()},
                   {"NOTIFY_SOCKET=" + manager.path(), "WATCHDOG_USEC=400000"});
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

TEST_CASE("an access log on a full disk is no reason to stop, and shown", "[mirror][operator]") {
  const temp_folder folder;
  make_repository(folder);
  mirror_process m({"--remote", (folder.path() / "r").string(), "--access-log", "/dev/full"});
  CHECK_THAT(m.line(), StartsWith("serving"));
  const auto get = [&m](const std::string& path, const std::string& fields) {
    return m.loop().run([&] { return ask_port(port_of(m.authority()), "GET", path, fields); });
  };
  const std::size_t line_bytes = 6000;
  const std::string agent = "User-Agent: " + std::string(line_bytes, 'a') + "\r\n";
  const std::size_t fit = access_log::most_waiting_bytes / (line_bytes + 200);
  for (std::size_t i = 0; i < fit; ++i) CHECK(get("/healthz", agent).status == 200);
  CHECK_THAT(get("/metrics", "").body,
             Contains("\nfermata_mirror_access_log_lost_lines_total 0\n"));
  for (int i = 0; i < 9; ++i) CHECK(get("/healthz", agent).status == 200);
  const auto lost =
      nlohmann::json::parse(get("/status.json", "").body)["requests"]["lost_log_lines"];
  CHECK(lost >= 1);
  CHECK(lost <= 9);
  CHECK_THAT(get("/status", "").body, Contains("<dt>Not logged</dt><dd>"));
  CHECK(m.stop(SIGTERM).is_success());
}

namespace {

// Connects until one is answered at once; gives how many were not, and the answer.
promise<std::string> connect_until_refused(std::uint16_t port, std::size_t most) {
  std::vector<std::unique_ptr<byte_stream>> held;
  while (held.size() < most) {
    promise<std::unique_ptr<byte_stream>> connecting =
        tcp_connect("127.0.0.1", port, connect_options());
    held.push_back(co_await std::move(connecting));
    promise<> asked = write_text(*held.back(), "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    co_await asked;
    std::string head(12, '\0');
    promise<std::size_t> reading = held.back()->read(std::as_writable_bytes(std::span<char>(head)));
    co_await reading;
    if (head == "HTTP/1.1 503") co_return std::to_string(held.size() - 1) + " and 503";
    if (head != "HTTP/1.1 200") co_return head;
  }
  co_return "none is refused";
}

}  // namespace

TEST_CASE("connections keep to the files that a process may have open", "[mirror][operator]") {
  const temp_folder folder;
  make_repository(folder);
  const std::vector<std::string> arguments{"--remote", (folder.path() / "r").string()};
  const auto refused = [](mirror_process& m) {
    return m.loop().run([&] { return connect_until_refused(port_of(m.authority()), 300); });
  };
  SECTION("the system's limit is the least") {
    mirror_process m(arguments, {}, "ulimit -n 400");
    CHECK(refused(m) == "200 and 503");
    CHECK(m.stop(SIGTERM).is_success());
  }
  SECTION("a limit that may be raised is") {
    mirror_process m(arguments, {}, "ulimit -Sn 400");
    CHECK(refused(m) == "none is refused");
    CHECK(m.stop(SIGTERM).is_success());
  }
}

namespace {

// A mirror of an archive that nobody has.
service_options with_lost_archive(const temp_folder& folder) {
  make_repository(folder);
  folder.write("r/packages/c/c.1/opam", "url { src: \"http://127.0.0.1:1/c\" checksum: \"md5=" +
                                            std::string(32, 'a') + "\" }\n");
  folder.run("cd r && git add . && git commit -q -m c");
  service_options options = options_with_data(folder);
  options.archives.folder = options.data_directory + "/cache";
  options.archives.first_delay = std::chrono::hours(1);
  return options;
}

promise<> until_a_download_failed(const service& s) {
  while (s.archives()->failed == 0) {
    promise<> tick = sleep_for(std::chrono::milliseconds(1));  // nobody tells
    co_await tick;
  }
}

}  // namespace

TEST_CASE("Prometheus takes the metrics", "[mirror][operator]") {
  if (!is_there("promtool")) {
    std::cout << "skipped: promtool\n";
    return;
  }
  const temp_folder folder;
  site s(with_lost_archive(folder));
  s.wait_for("served");
  s.loop.run([&] { return until_a_download_failed(s.mirror); });
  s.get("/repo");
  s.get("/nothing");
  const answer metrics = s.get("/metrics");
  CHECK(metrics.field("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK_THAT(metrics.body,
             Contains("fermata_http_requests_total{endpoint=\"repo\",code=\"2xx\"} 1\n") &&
                 Contains("fermata_mirror_archives_open 1\n") &&
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

TEST_CASE("why the archives cannot be used is shown", "[mirror][operator]") {
  const temp_folder folder;
  make_repository(folder);
  folder.write("data/cache", "no folder\n");
  service_options options = options_with_data(folder);
  options.archives.folder = options.data_directory + "/cache";
  const std::string why = "cannot make the folder " + options.archives.folder;
  site s(std::move(options));
  CHECK_THAT(s.wait_for("error"), StartsWith("error cannot use the archives: " + why));
  CHECK_THAT(s.get("/status").body, Contains("<p>They cannot be used: " + why + ": "));
  for (const char* path : {"/status.json", "/archives.json"}) {
    nlohmann::json told = nlohmann::json::parse(s.get(path).body);
    if (told.contains("archives") && told["archives"].is_object()) told = told["archives"];
    CHECK(told["open"] == false);
    CHECK_THAT(told["fault"].get<std::string>(), StartsWith(why + ": "));
  }
  CHECK_THAT(s.get("/metrics").body, Contains("\nfermata_mirror_archives_open 0\n"));
}

TEST_CASE("what the dashboard and the manual ask Prometheus for is there", "[mirror][operator]") {
  const temp_folder folder;
  service_options options = with_lost_archive(folder);
  options.lost_log_lines = [] { return std::uint64_t{0}; };
  site s(std::move(options));
  s.wait_for("phase save");
  s.loop.run([&] { return until_a_download_failed(s.mirror); });
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
