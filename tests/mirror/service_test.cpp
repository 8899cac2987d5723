// SPDX-License-Identifier: MIT
// The service in this process: what it answers before, while and after it has an index.

#include "service_support.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using nlohmann::json;

namespace {

// A remote that takes connections and says nothing.
struct silent_remote {
  silent_remote() : listener("127.0.0.1:0") {}
  [[nodiscard]] std::string url() const { return "git://" + listener.address() + "/r"; }
  tcp_listener listener;
};

}  // namespace

TEST_CASE("a service answers while it has no index yet", "[mirror][service]") {
  event_loop outer;  // of the listener, which only holds its backlog
  const silent_remote remote;
  site s(options_for(remote.url()));

  CHECK(s.get("/healthz").status == 200);
  CHECK(s.get("/healthz").body == "cloning\n");
  for (const char* path : {"/readyz", "/index.tar.gz", "/repo", "/version"}) {
    const answer a = s.get(path);
    CHECK(a.status == 503);
    CHECK(a.field("Retry-After") == "1");
    CHECK(a.body == "no index yet: cloning\n");
  }
  CHECK(s.get("/").status == 200);
  const answer page = s.get("/status");
  CHECK(page.status == 200);
  CHECK(page.field("Content-Type") == "text/html; charset=utf-8");
  CHECK(page.body.find("Cloning") != std::string::npos);
  const json status = json::parse(s.get("/status.json").body);
  CHECK(status["state"] == "cloning");
  CHECK(status["ready"] == false);
  CHECK(status["commit"].is_null());
  CHECK(status["progress"]["phase"].is_string());
}

TEST_CASE("a service clones a path and serves its index, repo and version", "[mirror][service]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  const std::string served = s.wait_for("served");
  CHECK(served == "served " + head_of(folder));

  const answer index = s.get("/index.tar.gz");
  CHECK(index.status == 200);
  CHECK(index.field("Content-Type") == "application/gzip");
  CHECK(index.field("Last-Modified") == "Tue, 14 Nov 2023 22:13:20 GMT");
  CHECK(index.field("ETag") == s.mirror.current()->etag);
  CHECK(index.field("ETag").front() == '"');
  folder.write("i.tar.gz", index.body);
  CHECK(folder.output("tar tzf i.tar.gz") ==
        "packages/a/a.1/opam\npackages/a/a.2/opam\npackages/b/b.1/files/run.sh\n"
        "packages/b/b.1/opam\nrepo\nversion\n");
  const std::string repo = "opam-version: \"2.0\"\nbrowse: \"https://example.org\"\nupstream: \"" +
                           (folder.path() / "r").string() + "\"\nstamp: \"" + head_of(folder) +
                           "\"\n";
  CHECK(s.get("/repo").body == repo);
  CHECK(folder.output("tar xzOf i.tar.gz repo") == repo);
  CHECK(s.get("/version").body == "0.9.0\n");
  CHECK(folder.output("tar xzOf i.tar.gz packages/a/a.2/opam") ==
        "opam-version: \"2.0\"\nsynopsis: \"two\"\n");
  CHECK(s.get("/readyz").body == "ready\n");
  CHECK(s.get("/healthz").body == "ready\n");
}

TEST_CASE("status.json tells what is served", "[mirror][service]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  s.wait_for("served");
  const json status = json::parse(s.get("/status.json").body);
  CHECK(status["version"] == "1.2.3");
  CHECK(status["state"] == "ready");
  CHECK(status["ready"] == true);
  CHECK(status["remote"] == (folder.path() / "r").string());
  CHECK(status["commit"] == head_of(folder));
  CHECK(status["commit_time"] == "2023-11-14T22:13:20Z");
  CHECK(status["progress"]["phase"].is_null());
  CHECK(status["loop"]["policy"] == testing::policy_of_run().to_string());
  CHECK(status["loop"]["looks"] > 0);
  CHECK(status["index"]["files"] == 6);
  CHECK(status["index"]["bytes"] == s.mirror.current()->index.size());
  CHECK(status["memory"]["rss_bytes"] > 0);
  CHECK(status["error"]["message"].is_null());
}

TEST_CASE("the opam lines of the page name the host that was asked", "[mirror][service]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  s.wait_for("served");
  for (const char* path : {"/", "/status"}) {
    CHECK(s.get(path).body.find("http://mirror.test:80") != std::string::npos);
  }
}

TEST_CASE("data has validators and answers conditions, ranges and HEAD", "[mirror][service]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  s.wait_for("served");
  for (const char* path : {"/index.tar.gz", "/repo", "/version"}) {
    INFO(path);
    const answer whole = s.get(path);
    const std::string etag = whole.field("ETag");
    REQUIRE(etag.size() > 2);
    CHECK(whole.field("Cache-Control") == "no-cache");
    const answer same = s.get(path, "If-None-Match: " + etag + "\r\n");
    CHECK(same.status == 304);
    CHECK(same.field("ETag") == etag);
    CHECK(same.body.empty());
    CHECK(s.get(path, "If-None-Match: \"other\"\r\n").status == 200);
    CHECK(s.get(path, "If-Modified-Since: " + whole.field("Last-Modified") + "\r\n").status == 304);
    const answer part = s.get(path, "Range: bytes=2-4\r\n");
    CHECK(part.status == 206);
    CHECK(part.body == whole.body.substr(2, 3));
    const answer head = s.loop.run([&] { return s.ask("HEAD", path); });
    CHECK(head.status == 200);
    CHECK(head.body.empty());
    CHECK(head.field("Content-Length") == std::to_string(whole.body.size()));
  }
}

TEST_CASE("a path or a method that is not there is refused", "[mirror][service]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  CHECK(s.get("/nothing").status == 404);
  CHECK(s.get("/update").status == 405);
  CHECK(s.get("/update").field("Allow") == "POST, OPTIONS");
  CHECK(s.post("/repo").status == 405);
}

TEST_CASE("a repository without a version has none", "[mirror][service]") {
  const temp_folder folder;
  make_repository(folder);
  folder.run("cd r && git rm -q version repo && git commit -q -m less");
  site s(options_for(folder));
  s.wait_for("served");
  CHECK(s.get("/version").status == 404);
  CHECK_THAT(s.get("/repo").body, StartsWith("opam-version: \"2.0\"\nupstream: "));
  CHECK(s.mirror.current()->files == 5);
}

TEST_CASE("links and submodules are left out and noted", "[mirror][service]") {
  const temp_folder folder;
  make_repository(folder);
  folder.run(
      "cd r && ln -s a packages/z && git add . && git update-index --add --cacheinfo "
      "160000,0123456789012345678901234567890123456789,packages/y && git commit -q -m odd");
  site s(options_for(folder));
  s.wait_for("served");
  CHECK(s.mirror.current()->files == 6);
  const std::vector<std::string> notes = {"packages/y: left out: submodule",
                                          "packages/z: left out: symbolic link"};
  CHECK(s.mirror.current()->notes == notes);
}

TEST_CASE("an opam file with a bad line stops nothing and is named by its place",
          "[mirror][service]") {
  const temp_folder folder;
  make_repository(folder);
  const std::string hash(64, 'a');
  folder.write("r/packages/c/c.1/opam",
               "opam-version: \"2.0\"\nurl { src: \"http://127.0.0.1/c\" checksum: \"sha256=" +
                   hash + "\" }\n");
  folder.write("r/packages/c/c.2/opam", "opam-version: \"2.0\"\nsynopsis: \"ends nowhere\n");
  folder.write("r/packages/c/c.3/opam",
               "opam-version: \"2.0\"\nurl { src: \"git+https://127.0.0.1/c\" }\n");
  folder.run("cd r && git add . && git commit -q -m c");
  site s(options_for(folder));
  s.wait_for("phase read");
  CHECK(s.mirror.current()->files == 6 + 3);
  const service_status status = s.mirror.status();
  CHECK(status.packages.opam_files == 6);
  CHECK(status.packages.archives == 1);
  CHECK(status.packages.version_control == 1);
  REQUIRE(status.packages.fault_list.size() == 1);
  CHECK_THAT(status.packages.fault_list[0], StartsWith("packages/c/c.2/opam:2:"));
  REQUIRE(status.packages.skipped_list.size() == 1);
  CHECK_THAT(s.get("/status").body,
             Contains("1 line could not be read") && Contains("packages/c/c.2/opam:2:"));
  CHECK_THAT(s.get("/metrics").body, Contains("fermata_mirror_opam_faults 1\n"));
  folder.run("cd r && git rm -q -r packages/c/c.2 && git commit -q -m d");
  s.mirror.ask_update();
  s.wait_for("phase read");
  CHECK(s.mirror.status().packages.faults == 0);
}

TEST_CASE("an annotated tag can be served", "[mirror][service]") {
  const temp_folder folder;
  make_repository(folder);
  const std::string tagged = head_of(folder);
  folder.run("cd r && git tag -a -m t one && git -c advice.nestedTag=false tag -a -m t two one");
  add_commit(folder, "3");
  site s(options_for((folder.path() / "r").string() + "#two"));
  CHECK(s.wait_for("served") == "served " + tagged);
}

TEST_CASE("every file and every slice looks whether anybody waits", "[mirror][service]") {
  const temp_folder folder;
  make_repository(folder);
  std::string many = "cd r && for i in $(seq 200); do mkdir -p packages/p/p.$i;";
  folder.run(many + " echo $i > packages/p/p.$i/opam; done");
  folder.write("r/repo", "opam-version: \"2.0\"\n#" + std::string(200'000, 'x') + "\n");
  folder.run("head -c 3000000 /dev/urandom > r/packages/big");
  folder.run("cd r && git add . && git commit -q -m many");
  service_options options = options_for(folder);
  options.most_fetches = 1;
  site s(std::move(options), testing::options_with(policy::always()));
  s.wait_for("phase swap");
  const auto looks = [&s](const std::string& phase) {
    unsigned long last = 0;
    for (const std::string& e : s.happened.all()) {
      if (e.starts_with("phase " + phase)) last = std::stoul(e.substr(e.rfind(' ') + 1));
    }
    return last;
  };
  CHECK(looks("walk") >= 205);
  CHECK(looks("index") >= 2 * 205 + 3'000'000 / 4096);  // files, and pieces of the large one
  CHECK(looks("swap") >= 200'000 / 32'768);
  folder.run("cd r && git rm -q packages/big && git commit -q -m small");
  s.mirror.ask_update();
  s.wait_for("phase swap");
  CHECK(looks("walk") >= 205);  // files that are the same
  CHECK(looks("swap") >= 205);  // the list of those before
  s.wait_for("phase compact");
  CHECK(looks("compact") >= 205);  // objects that stay
  s.wait_for("phase release");
  CHECK(looks("release") >= 3'000'000 / 524'288);  // those that do not
}
