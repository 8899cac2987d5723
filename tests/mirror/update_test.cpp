// SPDX-License-Identifier: MIT
// The service over time: updates, failures, restarts.

#include "service_support.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using namespace std::chrono_literals;
using Catch::Matchers::StartsWith;
using nlohmann::json;

TEST_CASE("POST /update brings a new commit", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  s.wait_for("served");
  const std::string before = s.get("/index.tar.gz").field("ETag");
  add_commit(folder, "3");
  const answer asked = s.post("/update");
  CHECK(asked.status == 202);
  CHECK(asked.body == "an update begins\n");
  CHECK(s.wait_for("served") == "served " + head_of(folder));
  CHECK(s.get("/index.tar.gz").field("ETag") != before);
  CHECK(s.get("/repo").body.find(head_of(folder)) != std::string::npos);
}

TEST_CASE("an update that finds the same commit builds no index", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  s.wait_for("served");
  CHECK(s.mirror.ask_update());
  s.wait_for("phase clone");
  s.wait_for("phase release");
  CHECK(s.get("/healthz").body == "ready\n");
  CHECK(s.happened.count("served") == 1);
  CHECK(s.happened.count("phase index") == 1);
}

TEST_CASE("updates that are asked for during a clone are one more clone", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  std::string asked;
  s.happened.listener = [&](const std::string& event) {
    if (!event.starts_with("phase walk")) return;
    for (int i = 0; i < 3; ++i) asked += s.mirror.ask_update() ? "first " : "again ";
  };
  s.wait_for("served");
  s.wait_for("phase release");
  s.get("/healthz");
  CHECK(asked == "first again again ");
  CHECK(s.happened.count("phase clone") == 2);
}

TEST_CASE("what cannot be mirrored is named, and the service stays up", "[mirror][update]") {
  const temp_folder folder;
  folder.run("git init -q --bare empty && mkdir none && git init -q --initial-branch=master r");
  folder.write("r/README", "no opam repository\n");
  folder.run("cd r && git add . && git commit -q -m 1");
  const std::string at = folder.path().string();
  const std::string commit = head_of(folder).substr(0, 12);
  const std::string hung_up =
      ": the server hung up before it said what it has (git says: fatal: '" + at +
      "/none' does "
      "not appear to be a git repository)";
  struct {
    std::string remote;
    std::string message;
  } const cases[] = {
      {at + "/empty", "cannot index " + at + "/empty: the repository is empty: it has no commit"},
      {at + "/none", "cannot clone " + at + "/none" + hung_up},
      {at + "/r#absent", "cannot clone " + at + "/r: branch \"absent\" is not in the repository"},
      {at + "/r", "cannot index " + at + "/r: commit " + commit +
                      ": it has no folder packages/, so it is no opam repository"},
      {"git://127.0.0.1:1/r",
       "cannot clone git://127.0.0.1:1/r: cannot connect to 127.0.0.1:1: connection refused (uv "
       "ECONNREFUSED)"},
  };
  for (const auto& c : cases) {
    INFO(c.remote);
    site s(options_for(c.remote));
    s.wait_for("error");
    const json status = json::parse(s.get("/status.json").body);
    CHECK(status["error"]["message"] == c.message);
    CHECK(status["error"]["tries"] == 1);
    CHECK(status["error"]["since"].is_string());
    CHECK(status["error"]["next_try"].is_string());
    CHECK(status["state"] == "starting");
    CHECK(s.get("/healthz").status == 200);
    const answer data = s.get("/index.tar.gz");
    CHECK(data.status == 503);
    CHECK(data.field("Retry-After") == "30");
    CHECK(data.body == "no index yet: starting\n" + c.message + "\n");
    CHECK(s.get("/status").status == 200);
  }
}

TEST_CASE("a remote that cannot be used is refused at once", "[mirror][update]") {
  const event_loop loop(testing::options_of_run());
  CHECK_THROWS_WITH(service(options_for("https://example.org/r")),
                    "cannot use https://example.org/r: https is not supported yet, only git:// and "
                    "local paths");
}

TEST_CASE("a failure is tried again with growing delays", "[mirror][update]") {
  const temp_folder folder;
  service_options options = options_for(folder.path().string() + "/none");
  options.first_delay = 1ms;
  options.longest_delay = 3ms;
  options.jitter = 0;
  site s(std::move(options));
  CHECK(s.wait_for("error").ends_with("(try 1, next in 1 ms)"));
  CHECK(s.wait_for("error").ends_with("(try 2, next in 2 ms)"));
  CHECK(s.wait_for("error").ends_with("(try 3, next in 3 ms)"));
  CHECK(s.wait_for("error").ends_with("(try 4, next in 3 ms)"));
}

TEST_CASE("a service recovers from a failure", "[mirror][update]") {
  const temp_folder folder;
  site s(options_for(folder));
  s.wait_for("error");
  make_repository(folder);
  CHECK(s.post("/update").status == 202);
  s.wait_for("served");
  const json status = json::parse(s.get("/status.json").body);
  CHECK(status["state"] == "ready");
  CHECK(status["error"]["message"].is_null());
  CHECK(status["error"]["tries"].is_null());
}

TEST_CASE("the old index is served while updates fail", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  s.wait_for("served");
  const answer before = s.get("/index.tar.gz");
  folder.run("mv r away");
  s.mirror.ask_update();
  CHECK_THAT(s.wait_for("error"), StartsWith("error cannot clone "));
  const answer after = s.get("/index.tar.gz");
  CHECK(after.status == 200);
  CHECK(after.body == before.body);
  CHECK(s.get("/readyz").status == 200);
  const json status = json::parse(s.get("/status.json").body);
  CHECK(status["state"] == "ready");
  CHECK(status["error"]["tries"] == 1);
}

TEST_CASE("a reader who has begun gets the old index to its end", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  folder.run(
      "head -c 12000000 /dev/urandom > r/packages/big && cd r && git add . && "
      "git commit -q -m big");
  site s(options_for(folder));
  s.wait_for("served");
  const std::shared_ptr<const generation> old = s.mirror.current();
  const std::string old_bytes(reinterpret_cast<const char*>(old->index.data()), old->index.size());
  std::unique_ptr<byte_stream> reader =
      s.loop.run([&] { return tcp_connect("127.0.0.1", s.port(), connect_options()); });
  s.loop.run([&] { return write_text(*reader, request_text("GET", "/index.tar.gz", "")); });
  std::string got(1, '\0');
  s.loop.run([&] { return read_exactly(*reader, std::as_writable_bytes(std::span<char>(got))); });
  add_commit(folder, "3");
  s.mirror.ask_update();
  s.wait_for("served");
  CHECK(s.mirror.current()->commit == head_of(folder));
  const answer fresh = s.get("/repo");
  CHECK(fresh.body.find(head_of(folder)) != std::string::npos);
  got += s.loop.run([&] { return read_to_end(*reader, std::size_t{64} << 20); });
  const answer late = read_answer(got);
  CHECK(late.field("ETag") == old->etag);
  CHECK(late.body == old_bytes);
}

TEST_CASE("an index that was kept is served at once after a restart", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_for(folder);
  options.data_directory = (folder.path() / "data").string();
  std::string etag;
  {
    site first(options);
    first.wait_for("phase save");
    etag = first.get("/index.tar.gz").field("ETag");
  }
  REQUIRE(std::filesystem::exists(folder.path() / "data" / "index"));
  folder.run("mv r away");
  site second(options);
  CHECK(second.wait_for("served") ==
        "served " + folder.output("git -C away rev-parse HEAD").substr(0, 40));
  CHECK(second.get("/index.tar.gz").field("ETag") == etag);
  second.wait_for("error");
  CHECK(second.get("/index.tar.gz").status == 200);
  folder.run("mv away r");
  add_commit(folder, "3");
  second.mirror.ask_update();
  CHECK(second.wait_for("served") == "served " + head_of(folder));
}

TEST_CASE("a kept index that is damaged is cloned anew", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  folder.write("data/index", "rubbish");
  service_options options = options_for(folder);
  options.data_directory = (folder.path() / "data").string();
  site s(std::move(options));
  const std::string warning = s.wait_for("warn");
  CHECK_THAT(warning, StartsWith("warn cannot use the index that was kept: "));
  CHECK(s.wait_for("served") == "served " + head_of(folder));
}

TEST_CASE("a data folder serves one service at a time", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_for(folder);
  options.data_directory = (folder.path() / "data").string();
  const site s(options);
  CHECK_THROWS_WITH(service(options),
                    StartsWith("cannot use " + options.data_directory + ": another process holds"));
}

TEST_CASE("a cancel ends the work in the middle of any phase", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  for (const char* phase : {"phase clone", "phase walk", "phase index", "phase release"}) {
    INFO(phase);
    site s(options_for(folder));
    s.happened.listener = [&](const std::string& event) {
      if (event.starts_with(phase)) cancel(s.working);
    };
    promise<> ended = s.working.catch_([](std::exception_ptr) { return ready(); });
    s.loop.run([&] { return ended; });
    CHECK(is_cancelled(s.working.error()));
  }
}
