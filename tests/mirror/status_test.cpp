// SPDX-License-Identifier: MIT
#include <fermata/mirror/pages.hpp>
#include <fermata/mirror/service_status.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <string>

using namespace fermata::mirror;
using namespace std::chrono_literals;

namespace {

service_status unknown() {
  service_status s;
  s.version = "0.1.0";
  s.remote = "git://example.org/repo.git";
  s.loop.policy = "budget=500";
  return s;
}

service_status known() {
  service_status s = unknown();
  s.state = service_state::updating;
  s.ready = true;
  s.commit = "97014be61691efb695da5de8e860cba5d74fa1f5";
  s.commit_time = std::chrono::sys_seconds(1787409630s);
  s.progress = {"receive and analyse", 5, 42'156, 7, 8, 1s};
  s.loop = {"greedy", 9, 870, 640, "clone.cpp:7", 500};
  s.index = {3'744'057, 18'795, "\"5742\"", {"a <b>: left out"}};
  s.memory = {31'300'000, 44'100'000};
  s.error = {"cannot <do> \"it\"", std::chrono::sys_seconds(0s), 3,
             std::chrono::sys_seconds(1709164800s)};
  s.uptime = 77s;
  s.now = std::chrono::sys_seconds(1787500000s);
  return s;
}

bool contains(const std::string& page, std::string_view text) {
  return page.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("status.json has null where nothing is known", "[mirror][status]") {
  CHECK(to_json(unknown()) ==
        R"({"version":"0.1.0","state":"starting","ready":false,)"
        R"("remote":"git://example.org/repo.git","commit":null,"commit_time":null,)"
        R"("progress":{"phase":null,"objects_done":null,"objects_total":null,"bytes":null,)"
        R"("bytes_per_second":null},)"
        R"("loop":{"policy":"budget=500","looks":0,"longest_gap_us":null,)"
        R"("longest_gap_cpu_us":null,"longest_gap_site":null},)"
        R"("index":{"bytes":null,"files":null,"etag":null},)"
        R"("memory":{"rss_bytes":null,"peak_rss_bytes":null},)"
        R"("error":{"message":null,"since":null,"tries":null,"next_try":null},"uptime_s":0})"
        "\n");
}

TEST_CASE("status.json has every value under its name", "[mirror][status]") {
  CHECK(to_json(known()) ==
        R"({"version":"0.1.0","state":"updating","ready":true,)"
        R"("remote":"git://example.org/repo.git",)"
        R"("commit":"97014be61691efb695da5de8e860cba5d74fa1f5",)"
        R"("commit_time":"2026-08-22T14:40:30Z",)"
        R"("progress":{"phase":"receive and analyse","objects_done":5,"objects_total":42156,)"
        R"("bytes":7,"bytes_per_second":8},)"
        R"("loop":{"policy":"greedy","looks":9,"longest_gap_us":870,)"
        R"("longest_gap_cpu_us":640,"longest_gap_site":"clone.cpp:7"},)"
        R"("index":{"bytes":3744057,"files":18795,"etag":"\"5742\""},)"
        R"("memory":{"rss_bytes":31300000,"peak_rss_bytes":44100000},)"
        R"("error":{"message":"cannot <do> \"it\"","since":"1970-01-01T00:00:00Z","tries":3,)"
        R"("next_try":"2024-02-29T00:00:00Z"},"uptime_s":77})"
        "\n");
}

TEST_CASE("status.json stays JSON whatever a remote says", "[mirror][status]") {
  service_status s = unknown();
  s.error.message = "bytes \xff\xfe\x01\n end";
  const auto parsed = nlohmann::json::parse(to_json(s));
  CHECK(parsed["error"]["message"] == "bytes \xef\xbf\xbd\xef\xbf\xbd\x01\n end");
}

TEST_CASE("the time left follows from the share that is done", "[mirror][status]") {
  progress_status p;
  CHECK_FALSE(p.left());
  p.objects_done = 0;
  p.objects_total = 100;
  p.elapsed = 3s;
  CHECK_FALSE(p.left());
  p.objects_done = 75;
  CHECK(p.left() == 1s);
  p.objects_done = 120;
  CHECK(p.share() == 1.0);
  CHECK(p.left() == 0s);
}

TEST_CASE("memory is known on Linux", "[mirror][status]") {
  const memory_status memory = read_memory_status();
  REQUIRE(memory.rss_bytes);
  REQUIRE(memory.peak_rss_bytes);
  CHECK(*memory.rss_bytes > 1'000'000);
  CHECK(*memory.peak_rss_bytes >= *memory.rss_bytes);
}

TEST_CASE("every state has a page", "[mirror][status]") {
  for (const auto state : {service_state::starting, service_state::cloning, service_state::indexing,
                           service_state::ready, service_state::updating}) {
    service_status s = unknown();
    s.state = state;
    const std::string page = status_page(s, "host", "fallback");
    CHECK(page.starts_with("<!doctype html>\n"));
    CHECK(page.ends_with("</html>\n"));
    CHECK(contains(page, "<i></i>" + std::string(to_string(state)) + "</span>"));
  }
}

TEST_CASE("a page escapes what comes from outside", "[mirror][status]") {
  service_status s = known();
  s.remote = "git://<script>alert(1)</script>&'\"";
  s.commit = "<commit>";
  s.loop.longest_gap_site = "<site>";
  s.progress.phase = "<phase>";
  s.index.etag = "\"<etag>\"";
  for (const std::string& page :
       {status_page(s, "<host>", "<fallback>"), home_page(s, "<host>", "<fallback>")}) {
    for (const char* word : {"<script", "<commit>", "<site>", "<phase>", "<etag>", "<b>:", "<do>",
                             "<host>", "<fallback>"}) {
      INFO(word);
      CHECK_FALSE(contains(page, word));
    }
  }
  CHECK(contains(status_page(s, "h", "f"), "cannot &lt;do&gt; &quot;it&quot;"));
}

TEST_CASE("a page loads nothing from elsewhere and runs nothing", "[mirror][status]") {
  const std::string page = status_page(known(), "mirror.example.org", "f");
  CHECK_FALSE(contains(page, "<script"));
  CHECK_FALSE(contains(page, "src="));
  CHECK_FALSE(contains(page, "url("));
  CHECK_FALSE(contains(page, "href=\"http"));
}

TEST_CASE("the commands name the host that the client asked for", "[mirror][status]") {
  const std::string page = status_page(known(), "mirror.example.org:8080", "127.0.0.1:1");
  CHECK(contains(page, "opam init http://mirror.example.org:8080<"));
  CHECK(contains(page, "opam repository set-url default http://mirror.example.org:8080\n"));
  CHECK(contains(page, "opam repository add mirror http://mirror.example.org:8080<"));
  CHECK(contains(status_page(known(), "a;rm -rf", "127.0.0.1:1"), "opam init http://127.0.0.1:1<"));
  CHECK(contains(home_page(known(), "", "127.0.0.1:1"), "opam init http://127.0.0.1:1<"));
}

TEST_CASE("a plain host is a name or an address with a port", "[mirror][status]") {
  CHECK(is_plain_host("mirror.example.org:80"));
  CHECK(is_plain_host("[::1]:8080"));
  CHECK_FALSE(is_plain_host(""));
  CHECK_FALSE(is_plain_host("a b"));
  CHECK_FALSE(is_plain_host("a$(b)"));
  CHECK_FALSE(is_plain_host(std::string(300, 'a')));
}

TEST_CASE("a page reloads itself until all is well", "[mirror][status]") {
  service_status s = unknown();
  CHECK(contains(status_page(s, "h", "f"), "http-equiv=\"refresh\" content=\"2\""));
  s.state = service_state::ready;
  CHECK_FALSE(contains(status_page(s, "h", "f"), "refresh"));
  s.error.message = "failed";
  CHECK(contains(status_page(s, "h", "f"), "refresh"));
}
