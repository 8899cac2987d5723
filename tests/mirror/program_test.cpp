// SPDX-License-Identifier: MIT
// fermata-mirror as its users meet it.

#include "program_support.hpp"

#include <fermata/mirror/options.hpp>

#include <catch2/catch.hpp>

#include <algorithm>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using Catch::Matchers::Matches;
using Catch::Matchers::StartsWith;

TEST_CASE("fermata-mirror --help prints the help and ends with 0", "[mirror][program]") {
  const ended e = run_mirror({"--help"});
  CHECK(e.how.is_success());
  CHECK(e.out == help_text());
  CHECK(e.err.empty());
}

TEST_CASE("fermata-mirror --version prints name and version", "[mirror][program]") {
  const ended e = run_mirror({"--version"});
  CHECK(e.how.is_success());
  CHECK_THAT(e.out, Matches("fermata-mirror [0-9.]+\n"));
}

TEST_CASE("wrong usage of fermata-mirror gets one line and 2", "[mirror][program]") {
  const ended e = run_mirror({"--port", "80"});
  CHECK(e.how.code == 2);
  CHECK(e.out.empty());
  CHECK_THAT(e.err, StartsWith("fermata-mirror: "));
  CHECK(std::count(e.err.begin(), e.err.end(), '\n') == 1);
}

TEST_CASE("fermata-mirror says why it cannot start, and ends with 1", "[mirror][program]") {
  const temp_folder folder;
  make_repository(folder);
  const std::string remote = (folder.path() / "r").string();
  event_loop loop(testing::options_of_run());
  const tcp_listener taken = loop.run([] { return tcp_listener("127.0.0.1:0"); });
  const ended port = run_mirror({"--remote", remote, "--listen", taken.address()});
  CHECK(port.how.code == 1);
  CHECK(port.err == "fermata-mirror: cannot listen on " + taken.address() +
                        ": address already in use (uv EADDRINUSE)\n");
  CHECK(port.out.empty());

  const mirror_process first({"--remote", remote, "--loops", "2"});
  const ended second = run_mirror({"--remote", remote, "--listen", first.authority(), "--loops=2"});
  CHECK(second.how.code == 1);
  CHECK(second.err == "fermata-mirror: cannot listen on " + first.authority() +
                          ": address already in use (uv EADDRINUSE)\n");

  folder.write("file", "");
  const std::string data = (folder.path() / "file" / "data").string();
  const ended disk = run_mirror({"--remote", remote, "--listen", "127.0.0.1:0", "--data", data});
  CHECK(disk.how.code == 1);
  CHECK(disk.err ==
        "fermata-mirror: cannot make the folder " + data + ": not a directory (uv ENOTDIR)\n");

  const ended scheme = run_mirror({"--remote", "svn://example.org/r"});
  CHECK(scheme.how.code == 1);
  CHECK(scheme.err == "fermata-mirror: cannot use svn://example.org/r: unknown scheme svn\n");
}

TEST_CASE("fermata-mirror says where it listens and what it serves", "[mirror][program]") {
  const temp_folder folder;
  make_repository(folder);
  mirror_process m({"--remote", (folder.path() / "r").string()});
  CHECK_THAT(m.line(), Matches("serving commit=" + head_of(folder) +
                               " files=6 bytes=[0-9]+ seconds=[0-9.]+"));
  SECTION("SIGTERM stops it") { CHECK(m.stop(SIGTERM).is_success()); }
  SECTION("SIGINT stops it") { CHECK(m.stop(SIGINT).is_success()); }
}

TEST_CASE("fermata-mirror is stopped in the middle of a clone", "[mirror][program]") {
  event_loop loop(testing::options_of_run());
  const tcp_listener silent = loop.run([] { return tcp_listener("127.0.0.1:0"); });
  mirror_process m({"--remote", "git://" + silent.address() + "/r"});
  CHECK(m.stop(SIGTERM).is_success());
}

TEST_CASE("git clones from fermata-mirror what it serves", "[mirror][program]") {
  const temp_folder folder;
  make_repository(folder);
  folder.run(
      "git -C r branch other && git -C r checkout -q -b far && cd r && echo x > packages/x && "
      "git add . && git commit -qm far && git checkout -q master");
  mirror_process m({"--remote", (folder.path() / "r").string()});
  REQUIRE_THAT(m.line(), StartsWith("serving"));
  const auto git = [&](const std::string& more) {
    const ended e = m.loop().run([&] {
      return run_to_end(command({"sh", "-c", "cd '" + folder.path().string() + "' && " + more}));
    });
    INFO(e.err);
    CHECK(e.how.is_success());
    return e.out;
  };
  git("git clone -q " + m.url() + "/repository.git copy");
  CHECK(git("git -C copy rev-parse HEAD") == head_of(folder) + "\n");
  CHECK(git("diff -r -x .git r copy").empty());
  CHECK(git("git -C copy fsck --strict").empty());
  CHECK(m.stop(SIGTERM).is_success());
}

TEST_CASE("limits refuse at once, and a health check is answered", "[mirror][program]") {
  const temp_folder folder;
  make_repository(folder);
  mirror_process m({"--remote", (folder.path() / "r").string(), "--client-rate", "1",
                    "--client-burst", "3", "--client-header", "X-Forwarded-For"});
  REQUIRE_THAT(m.line(), StartsWith("serving"));
  const auto status = [&](const std::string& path, const std::string& fields) {
    return m.loop()
        .run([&] { return ask_port(port_of(m.authority()), "GET", path, fields); })
        .status;
  };
  int refused = 0;
  for (int i = 0; i < 20; ++i) {
    refused += status("/repo", "X-Forwarded-For: 10.0.0.9, 10.0.0.1\r\n") == 429 ? 1 : 0;
  }
  CHECK(refused > 0);
  CHECK(status("/repo", "X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n") == 200);
  CHECK(status("/healthz", "X-Forwarded-For: 10.0.0.1\r\n") == 200);
  CHECK(m.stop(SIGTERM).is_success());
}

TEST_CASE("fermata-mirror ends although a client does not read on", "[mirror][program]") {
  const temp_folder folder;
  make_repository(folder);
  folder.run(
      "head -c 20000000 /dev/urandom > r/packages/big && cd r && git add . && git commit -q -m b");
  mirror_process m({"--remote", (folder.path() / "r").string(), "--drain", "50ms"});
  REQUIRE_THAT(m.line(), StartsWith("serving"));
  std::unique_ptr<byte_stream> reader = m.loop().run(
      [&] { return tcp_connect("127.0.0.1", port_of(m.authority()), connect_options()); });
  m.loop().run([&] { return write_text(*reader, request_text("GET", "/index.tar.gz", "")); });
  std::string got(1000, '\0');
  m.loop().run([&] { return read_exactly(*reader, std::as_writable_bytes(std::span<char>(got))); });
  CHECK_THAT(got, StartsWith("HTTP/1.1 200"));
  CHECK(m.stop(SIGTERM).is_success());
}

TEST_CASE("fermata-mirror serves what git daemon has", "[mirror][program]") {
  const temp_folder folder;
  make_repository(folder);
  const git_daemon daemon(folder);
  mirror_process m({"--remote", daemon.url("/r"), "--depth", "0"});
  CHECK_THAT(m.line(), StartsWith("serving commit=" + head_of(folder)));
  CHECK(m.stop(SIGTERM).is_success());
}

TEST_CASE("a repository that git daemon does not have is named", "[mirror][update]") {
  const temp_folder folder;
  const git_daemon daemon(folder);
  site s(options_for(daemon.url("/absent")));
  CHECK_THAT(s.wait_for("error"), StartsWith("error cannot clone " + daemon.url("/absent") + ": "));
}
