// SPDX-License-Identifier: MIT
// What a whole service answers of its archives: the archives themselves, lists and retries.

#include "service_support.hpp"
#include "support/fixture_upstream.hpp"

#include <fermata/promise/sleep.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using Catch::Matchers::Contains;
using fermata::test::fixture_upstream;
using json = nlohmann::json;

namespace {

const std::string form = "Content-Type: application/x-www-form-urlencoded\r\n";

// A mirror whose upstream has lost one archive of two.
class archive_site {
public:
  explicit archive_site(const std::string& secret = "") {
    make_repository(folder_);
    service_options o = options_for(folder_);
    o.update_secret = secret;
    o.update_pause = std::chrono::seconds(0);
    o.archives.folder = (folder_.path() / "cache").string();
    o.archives.first_delay = std::chrono::hours(1);
    s = std::make_unique<site>(std::move(o));
    s->wait_for("served");
    s->loop.run([this] {
      upstream = std::make_unique<fixture_upstream>();
      return ready();
    });
    good = add("c.1", "/c", "good");
    lost = add("d.1", "/d", "lost");
    (*upstream)["/d"].how = fixture_upstream::manner::missing;
    folder_.run("cd r && git add . && git commit -q -m archives");
    s->mirror.ask_update();
    wait_for([](const archive_status& a) { return a.present == 1 && a.failed == 1; });
  }
  ~archive_site() {
    s->loop.run([this] { return upstream->end(); });
    s->loop.run([this] {
      upstream.reset();
      return ready();
    });
  }

  template <typename F>
  void wait_for(F is_so) {
    s->loop.run([&] { return until(is_so); });
  }
  answer post(const std::string& path, const std::string& fields, const std::string& body = "") {
    const std::string all = fields + "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return s->loop.run([&] { return ask_port(s->port(), "POST", path, all, body); });
  }

  std::string good;  ///< paths
  std::string lost;
  std::unique_ptr<fixture_upstream> upstream;

private:
  template <typename F>
  promise<> until(F& is_so) {
    while (!is_so(*s->mirror.archives())) {
      promise<> tick = sleep_for(std::chrono::milliseconds(1));  // nobody tells
      co_await tick;
    }
  }
  std::string add(const std::string& package, const std::string& path, const std::string& bytes) {
    const std::string sum = "sha256=" + fermata::test::sum_of(folder_, "sha256sum", bytes);
    (*upstream)[path].bytes = bytes;
    folder_.write("r/packages/" + package.substr(0, 1) + "/" + package + "/opam",
                  "url { src: \"" + upstream->url(path) + "\" checksum: \"" + sum + "\" }\n");
    return "/cache/" + archive_hash::parse(sum)->path();
  }

  temp_folder folder_;

public:
  std::unique_ptr<site> s;
};

}  // namespace

TEST_CASE("archives.json says what is there, what failed, why and since when",
          "[mirror][archives]") {
  archive_site a;
  const answer listed = a.s->get("/archives.json");
  CHECK(listed.status == 200);
  CHECK(listed.field("Content-Type") == "application/json");
  CHECK(listed.field("Cache-Control") == "no-store");
  const json j = json::parse(listed.body);
  CHECK(j.at("open") == true);
  CHECK(j.at("known") == true);
  CHECK(j.at("archives") == 2);
  CHECK(j.at("present") == 1);
  CHECK(j.at("waiting") == 0);
  CHECK(j.at("failed") == 1);
  CHECK(j.at("stored_bytes") == 4);
  CHECK(j.at("partial") == 0);
  REQUIRE(j.at("failures").size() == 1);
  CHECK(j.at("failures")[0].at("reason") == "http 404");
  CHECK(j.at("failures")[0].at("count") == 1);
  const json& f = j.at("failures")[0].at("examples").at(0);
  CHECK(f.at("packages") == "d.1");
  CHECK(f.at("url") == a.upstream->url("/d"));
  CHECK(f.at("tries") == 1);
  CHECK(f.at("since").get<std::int64_t>() > 1'700'000'000);
  CHECK(f.at("next_try_seconds").get<int>() > 1800);
  CHECK_THAT(a.s->get("/status").body, Contains("http 404") && Contains("Try again"));
  CHECK_THAT(a.s->get("/metrics").body,
             Contains("fermata_mirror_archives_failed 1\n") &&
                 Contains("fermata_mirror_archive_failures{reason=\"http 404\"} 1\n"));
  CHECK(a.s->get(a.good).body == "good");
  const answer missing = a.s->get(a.lost);
  CHECK(missing.status == 404);
  CHECK(missing.field("Cache-Control") == "no-store");
  CHECK_THAT(missing.body, Contains("it answered 404"));
}

TEST_CASE("retries are asked for by reason, by programs and by a form", "[mirror][archives]") {
  archive_site a;
  CHECK(a.s->get("/archives/retry").status == 405);
  answer asked = a.post("/archives/retry?reason=http%20500", "");
  CHECK(asked.status == 202);
  CHECK(asked.body == "0 downloads are tried again\n");
  (*a.upstream)["/d"].how = fixture_upstream::manner::failing;
  asked = a.post("/archives/retry?reason=http%20404", "");
  CHECK(asked.body == "1 download is tried again\n");
  a.wait_for([](const archive_status& s) {
    return s.failures.size() == 1 && s.failures[0].reason == "http 500";
  });
  CHECK(a.s->mirror.archives()->failures[0].examples.at(0).tries == 2);
  (*a.upstream)["/d"].how = fixture_upstream::manner::whole;
  asked = a.post("/archives/retry", form, "reason=http+500");
  CHECK(asked.status == 303);
  CHECK(asked.field("Location") == "/status");
  a.wait_for([](const archive_status& s) { return s.present == 2; });
  CHECK(a.s->get(a.lost).body == "lost");
}

TEST_CASE("retries need the secret, and are not for other sites", "[mirror][archives]") {
  archive_site a("hush");
  CHECK(a.post("/archives/retry", "").body == "no retry: it needs the secret\n");
  CHECK(a.post("/archives/retry", form, "secret=loud").status == 403);
  CHECK(
      a.post("/archives/retry", form + "Origin: http://elsewhere.test\r\n", "secret=hush").status ==
      403);
  CHECK(a.upstream->asked("/d") == 1);
  CHECK(a.post("/archives/retry", "Authorization: Bearer hush\r\n").status == 202);
  a.wait_for([](const archive_status& s) {
    return s.failures.size() == 1 && s.failures[0].examples.at(0).tries == 2;
  });
  CHECK_THAT(a.s->get("/status").body, Contains("name=\"secret\""));
}

TEST_CASE("an archive is found by a checksum as opam files write it", "[mirror][archives]") {
  archive_site a;
  const std::string find = "/archives/find?checksum=";
  answer found = a.s->get(find + "sha256%3D" + a.good.substr(a.good.rfind('/') + 1));
  CHECK(found.status == 303);
  CHECK(found.field("Location") == a.good);
  found = a.s->get(find + "755f85c2723bb39381c7379a604160d8");  // the MD5 of "good"
  CHECK(found.status == 303);
  CHECK(a.s->get(found.field("Location")).body == "good");
  CHECK(a.s->get(find + "sha256=" + a.lost.substr(a.lost.rfind('/') + 1)).status == 303);
  CHECK(a.s->get(find + std::string(32, '0')).body == "no package names this archive\n");
  CHECK(a.s->get(find + "sha1=00").status == 400);
  CHECK(a.s->get("/archives/find").status == 400);
  CHECK_THAT(a.s->get("/status").body, Contains("action=\"/archives/find\""));
}

TEST_CASE("a mirror without a folder keeps no archives", "[mirror][archives]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  s.wait_for("served");
  CHECK(s.get("/archives.json").status == 404);
  CHECK(s.post("/archives/retry").status == 404);
  CHECK(s.get("/archives/find?checksum=00").status == 404);
  CHECK(s.get("/cache/md5/00/00000000000000000000000000000000").body ==
        "this mirror keeps no archives\n");
  CHECK_FALSE(s.mirror.downloads());
}
