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
  s.packages.is_known = true;
  s.packages.opam_files = 18'793;
  s.packages.unavailable = 21;
  s.packages.archives = 11'478;
  s.packages.alternatives = 77;
  s.packages.without_checksum = 15;
  s.packages.version_control = 4;
  s.packages.faults = 1;
  s.packages.fault_list = {"packages/a/a.1/opam:3:7: a <bad> string"};
  s.memory = {31'300'000, 44'100'000};
  s.disk = {3'800'000, 12'000'000'000, 64'000'000'000};
  s.error = {"cannot <do> \"it\"", std::chrono::sys_seconds(0s), 3,
             std::chrono::sys_seconds(1709164800s)};
  s.updates = {
      std::chrono::sys_seconds(0s), std::chrono::sys_seconds(1709164800s), 4, 2, false, "/update"};
  s.requests = {10, 1, 3, 5, 6, 7, 99, 8};
  s.uptime = 77s;
  s.now = std::chrono::sys_seconds(1787500000s);
  return s;
}

page_view view_of(const std::string& host, const std::string& fallback) {
  page_view view;
  view.host = host;
  view.fallback_host = fallback;
  return view;
}

std::string page_of(const service_status& s,
                    const std::string& host = "host",
                    const std::string& fallback = "fallback") {
  return status_page(s, history(), view_of(host, fallback));
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
        R"("packages":null,"archives":null,)"
        R"("memory":{"rss_bytes":null,"peak_rss_bytes":null},)"
        R"("disk":{"kept_bytes":null,"free_bytes":null,"total_bytes":null},)"
        R"("error":{"message":null,"since":null,"tries":null,"next_try":null},)"
        R"("updates":{"last":null,"next":null,"done":0,"failed":0},)"
        R"("requests":{"total":0,"failures":0,"connections":0,"refused_connections":0,)"
        R"("overloaded":0,"rate_limited":0,"sent_bytes":0,"lost_log_lines":null},"uptime_s":0})"
        "\n");
}

TEST_CASE("status.json has every value under its name", "[mirror][status]") {
  service_status s = known();
  s.archives.emplace();
  s.archives->fault = "cannot <make> it";
  CHECK(to_json(s) ==
        R"({"version":"0.1.0","state":"updating","ready":true,)"
        R"("remote":"git://example.org/repo.git",)"
        R"("commit":"97014be61691efb695da5de8e860cba5d74fa1f5",)"
        R"("commit_time":"2026-08-22T14:40:30Z",)"
        R"("progress":{"phase":"receive and analyse","objects_done":5,"objects_total":42156,)"
        R"("bytes":7,"bytes_per_second":8},)"
        R"("loop":{"policy":"greedy","looks":9,"longest_gap_us":870,)"
        R"("longest_gap_cpu_us":640,"longest_gap_site":"clone.cpp:7"},)"
        R"("index":{"bytes":3744057,"files":18795,"etag":"\"5742\""},)"
        R"("packages":{"opam_files":18793,"unavailable":21,"archives":11478,"alternatives":77,)"
        R"("without_checksum":15,"version_control":4,"refused":0,"faults":1,)"
        R"("fault_list":["packages/a/a.1/opam:3:7: a <bad> string"],"conflict_list":[]},)"
        R"("archives":{"open":false,"fault":"cannot <make> it"},)"
        R"("memory":{"rss_bytes":31300000,"peak_rss_bytes":44100000},)"
        R"("disk":{"kept_bytes":3800000,"free_bytes":12000000000,"total_bytes":64000000000},)"
        R"("error":{"message":"cannot <do> \"it\"","since":"1970-01-01T00:00:00Z","tries":3,)"
        R"("next_try":"2024-02-29T00:00:00Z"},)"
        R"("updates":{"last":"1970-01-01T00:00:00Z","next":"2024-02-29T00:00:00Z","done":4,)"
        R"("failed":2},"requests":{"total":10,"failures":1,"connections":3,)"
        R"("refused_connections":5,"overloaded":6,"rate_limited":7,"sent_bytes":99,)"
        R"("lost_log_lines":8},"uptime_s":77})"
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
    const std::string page = page_of(s);
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
       {page_of(s, "<host>", "<fallback>"), home_page(s, view_of("<host>", "<fallback>"))}) {
    for (const char* word : {"<script>alert", "<commit>", "<site>", "<phase>", "<etag>", "<bad>",
                             "<b>:", "<do>", "<host>", "<fallback>"}) {
      INFO(word);
      CHECK_FALSE(contains(page, word));
    }
  }
  CHECK(contains(page_of(s, "h", "f"), "cannot &lt;do&gt; &quot;it&quot;"));
}

TEST_CASE("a page loads nothing from elsewhere and runs its one script", "[mirror][status]") {
  const std::string page = page_of(known(), "mirror.example.org");
  CHECK(page.find("<script>") == page.rfind("<script"));
  CHECK_FALSE(contains(page, "src="));
  CHECK_FALSE(contains(page, "url("));
  CHECK_FALSE(contains(page, "href=\"http"));
  CHECK(contains(std::string(page_policy()), "default-src 'none'"));
  CHECK_FALSE(contains(std::string(page_policy()), "script-src 'unsafe"));
}

TEST_CASE("the commands name the host that the client asked for", "[mirror][status]") {
  const std::string page = page_of(known(), "mirror.example.org:8080", "127.0.0.1:1");
  CHECK(contains(page, "opam init http://mirror.example.org:8080<"));
  CHECK(contains(page, "opam repository set-url default http://mirror.example.org:8080\n"));
  CHECK(contains(page, "opam repository add mirror http://mirror.example.org:8080<"));
  CHECK(contains(page_of(known(), "a;rm -rf", "127.0.0.1:1"), "opam init http://127.0.0.1:1<"));
  CHECK(contains(home_page(known(), view_of("", "127.0.0.1:1")), "opam init http://127.0.0.1:1<"));
}

TEST_CASE("the commands name the public URL where there is one", "[mirror][status]") {
  page_view view = view_of("mirror.example.org", "127.0.0.1:1");
  view.public_url = "https://opam.example.org/all/";
  for (const std::string& page :
       {status_page(known(), history(), view), home_page(known(), view)}) {
    CHECK(contains(page, "opam init https://opam.example.org/all<"));
    CHECK(contains(page, "opam repository add mirror https://opam.example.org/all<"));
    CHECK_FALSE(contains(page, "http://"));
  }
}

TEST_CASE("a plain host is a name or an address with a port", "[mirror][status]") {
  CHECK(is_plain_host("mirror.example.org:80"));
  CHECK(is_plain_host("[::1]:8080"));
  CHECK_FALSE(is_plain_host(""));
  CHECK_FALSE(is_plain_host("a b"));
  CHECK_FALSE(is_plain_host("a$(b)"));
  CHECK_FALSE(is_plain_host(std::string(300, 'a')));
}

TEST_CASE("a page without its script reloads itself", "[mirror][status]") {
  CHECK(contains(page_of(unknown()),
                 "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>"));
}

TEST_CASE("an event holds parts of the page by their ids", "[mirror][status]") {
  const auto parts = status_parts(known(), history(), page_view());
  const std::string page = page_of(known());
  for (const page_part& part : parts) {
    INFO(part.id);
    CHECK(contains(part.html, "id=\"" + std::string(part.id) + "\""));
    CHECK(contains(page, "id=\"" + std::string(part.id) + "\""));
  }
  const std::string event = status_event({{"a", "<b>\n\n</b>"}, {"c", "\xff"}});
  CHECK(event == "data: {\"a\":\"<b>\\n\\n</b>\",\"c\":\"\xef\xbf\xbd\"}\n\n");
}

TEST_CASE("a page asks for the secret where updates need one", "[mirror][status]") {
  service_status s = known();
  CHECK(contains(page_of(s), "<form method=\"post\" action=\"/update\"><button>"));
  s.updates.needs_secret = true;
  CHECK(contains(page_of(s), "<input type=\"password\" name=\"secret\""));
}

TEST_CASE("the day's samples are made of the hour's", "[mirror][status]") {
  history past;
  for (std::size_t i = 0; i < history::most + history::per_long; ++i) {
    sample s;
    s.length = 10s;
    s.requests = 2;
    s.latency_p99 = std::chrono::microseconds(i);
    past.add(s);
  }
  CHECK(past.hour().size() == history::most);
  REQUIRE(past.day().size() == history::most / history::per_long + 1);
  CHECK(past.day().front().requests == 2 * history::per_long);
  CHECK(past.day().front().length == 240s);
  CHECK(past.day().front().latency_p99 == std::chrono::microseconds(history::per_long - 1));
}

TEST_CASE("archives are shown: what is fetched, what failed and why", "[mirror][status]") {
  service_status s = known();
  archive_status a;
  a.is_known = true;
  a.catalogue.archives = 10;
  a.present = 4;
  a.waiting = 3;
  a.failed = 3;
  a.store.archives = 5;
  a.store.bytes = 1'500'000;
  a.store.partial = 2;
  a.store.partial_bytes = 2500;
  a.paused = {{"<host>", 12s}, {"b", 13s}, {"c", 14s}, {"d", 15s}};
  a.batch = {true, 1, 4, 3'000, 2000ms};
  a.active = {{"sha256=aa", "a.1", "http://127.0.0.1/<a>", 500, 1000, 1000ms}};
  const std::chrono::sys_seconds since(1'700'000'000s);
  failed_download f{"sha256=bb", "b.<1>", "http://127.0.0.1/b", "the server said \"no\"", 2,
                    since,       60s};
  a.failures = {{"http 404", 3, {f}}};
  s.archives = a;
  const std::string page = page_of(s);
  CHECK(contains(page, "<strong>4</strong> of 10 are here"));
  CHECK(contains(page, "1 download"));
  CHECK(contains(page, "500 B of 1.0 kB, 500 B/s"));
  CHECK(contains(page, "http://127.0.0.1/&lt;a&gt;"));
  CHECK(contains(page,
                 "<details data-key=\"http 404\"><summary><strong>3</strong> http 404</summary>"));
  CHECK(contains(page, "b.&lt;1&gt;"));
  CHECK(contains(page, "2 tries since <time>2023-11-14 22:13 UTC</time>, next "));
  CHECK(contains(page, "&lt;host&gt; for 12 s, b for 13 s, c for 14 s and 1 more"));
  CHECK(contains(page, "<strong>1</strong> of 4 done"));
  CHECK(contains(page, "1.5 kB/s</span><span>6.0 s left"));
  CHECK(contains(page, "<dt>Partly here</dt><dd>2.5 kB in 2</dd>"));
  CHECK(contains(page, "<form method=\"post\" action=\"/archives/retry\">"));
  CHECK(contains(page, "and 2 more"));
}
