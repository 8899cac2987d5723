// SPDX-License-Identifier: MIT
#include "archive_place.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using Catch::Matchers::Contains;

TEST_CASE("archives are fetched and served by any of their checksums", "[mirror][archives]") {
  place p;
  const std::string sum = p.add("a.1", "/a", "hello");
  p.write("b.1",
          "url { src: \"" + p.upstream->url("/elsewhere") + "\" checksum: \"" + sum + "\" }\n");
  const std::string other = p.add("c.1", "/c", std::string(200'000, 'c'));
  p.publish();
  p.wait_for(is_idle);
  const archive_status s = p.status();
  CHECK(s.catalogue.archives == 2);
  CHECK(s.present == 2);
  CHECK(s.downloaded_bytes == 200'005);
  CHECK(p.upstream->asked("/a") == 1);
  CHECK(p.upstream->asked("/elsewhere") == 0);

  const answer all = p.get(sum);
  CHECK(all.status == 200);
  CHECK(all.body == "hello");
  CHECK(all.field("Cache-Control") == "public, max-age=31536000, immutable");
  CHECK(all.field("ETag") == "\"" + sum.substr(7) + "\"");
  CHECK(p.get("md5=5d41402abc4b2a76b9719d911017c592").body == "hello");
  CHECK(p.get("sha512=" + sum_of(p.folder(), "sha512sum", "hello")).body == "hello");
  CHECK(p.get(sum, "If-None-Match: " + all.field("ETag") + "\r\n").status == 304);
  const answer part = p.get(other, "Range: bytes=199998-\r\n");
  CHECK(part.status == 206);
  CHECK(part.body == "cc");
  CHECK(p.get(other).body == std::string(200'000, 'c'));
  const std::string path = "/cache/" + archive_hash::parse(sum)->path();
  const answer head = p.ask(path, "", "HEAD");
  CHECK(head.status == 200);
  CHECK(head.field("Content-Length") == "5");
  CHECK(head.body.empty());
  CHECK(p.status().hits == 7);
}

TEST_CASE("what is no archive is not found", "[mirror][archives]") {
  place p;
  p.add("a.1", "/a", "hello");
  p.publish();
  p.wait_for(is_idle);
  const std::string none(64, '0');
  CHECK(p.ask("/cache/sha256/00/" + none).status == 404);
  CHECK(p.ask("/cache/sha256/01/" + none).status == 404);
  CHECK(p.ask("/cache/sha1/00/" + none).status == 404);
  CHECK(p.ask("/cache/").status == 404);
  CHECK(p.ask("/cache/md5/00/" + none).status == 404);
  CHECK(p.ask("/cache/md5/..%2f..").status == 400);
  CHECK(p.status().misses == 1);
}

TEST_CASE("an archive comes from a mirror, or from an upstream cache, where its URL fails",
          "[mirror][archives]") {
  archive_options o;
  o.upstream_caches = {"/up/"};  // of the fixture
  place p(o);
  const std::string wrong =
      p.add("a.1", "/a", "one", "mirrors: [\"" + p.upstream->url("/a2") + "\"]");
  (*p.upstream)["/a"].how = manner::wrong;
  (*p.upstream)["/a2"].bytes = "one";
  const std::string lost = p.add("b.1", "/b", "two");
  (*p.upstream)["/b"].how = manner::missing;
  (*p.upstream)["/up/" + archive_hash::parse(lost)->path()].bytes = "two";
  const std::string moved = p.add("c.1", "/c", "three");
  (*p.upstream)["/c"] = {"", manner::moved, p.upstream->url("/c2")};
  (*p.upstream)["/c2"].bytes = "three";
  const std::string cut = p.add("d.1", "/d", std::string(50'000, 'd'));
  (*p.upstream)["/d"].how = manner::cut_once;
  p.publish();
  p.wait_for(is_idle);
  CHECK(p.get(wrong).body == "one");
  CHECK(p.get(lost).body == "two");
  CHECK(p.get(moved).body == "three");
  CHECK(p.get(cut).body == std::string(50'000, 'd'));
  CHECK(p.upstream->asked("/d") == 2);
  CHECK(p.upstream->asked_from_middle() >= 1);
  CHECK(failures(p.status()).empty());
}

TEST_CASE("failures are grouped by reason, known at once, and tried again", "[mirror][archives]") {
  archive_options o;
  o.largest_bytes = 1000;
  o.client.defaults.limits.first_byte_time = std::chrono::seconds(2);  // of one alone
  place p(o);
  const std::string missing = p.add("a.1", "/a", "a");
  (*p.upstream)["/a"].how = manner::missing;
  p.add("b.1", "/b", "b");
  (*p.upstream)["/b"].how = manner::failing;
  p.add("c.1", "/c", "c");
  (*p.upstream)["/c"].how = manner::wrong;
  p.add("d.1", "/d", std::string(1001, 'd'));
  p.add("e.1", "/e", std::string(900, 'e'));
  (*p.upstream)["/e"].how = manner::cut;
  p.add("f.1", "/f", "f");
  (*p.upstream)["/f"].how = manner::hanging;
  p.write("g.1",
          "url { src: \"http://127.0.0.1:1/g\" checksum: \"md5=" + std::string(32, '1') + "\" }\n");
  p.write("h.1",
          "url { src: \"file:///etc/passwd\" checksum: \"md5=" + std::string(32, '2') + "\" }\n");
  const std::string good = p.add("z.1", "/z", "z");
  p.publish();
  p.wait_for(is_idle);
  archive_status s = p.status();
  CHECK(failures(s) ==
        "broken off=1 checksum=1 connection=1 http 404=1 http 500=1 timeout=1 too large=1 ");
  CHECK(s.present == 1);
  CHECK(s.catalogue.refused == 1);
  CHECK(p.get(good).body == "z");

  const answer known = p.get(missing);
  CHECK(known.status == 404);
  CHECK_THAT(known.body, Contains("it answered 404"));
  CHECK(p.upstream->asked("/a") == 1);

  (*p.upstream)["/a"].how = manner::whole;
  CHECK(p.service().retry("http 404") == 1);
  p.wait_for([](const archive_status& now) { return now.present == 2; });
  CHECK(p.get(missing).body == "a");
  CHECK(p.upstream->asked("/b") == 1);
  (*p.upstream)["/b"].how = manner::whole;
  CHECK(p.service().retry() == 6);
  p.wait_for([](const archive_status& now) { return now.present == 3 && now.waiting == 0; });
}

TEST_CASE("an archive that is asked for is fetched once for all who ask", "[mirror][archives]") {
  archive_options o;
  o.skip_download = true;
  place p(o);
  const std::string sum = p.add("a.1", "/a", std::string(3000, 'a'));
  (*p.upstream)["/a"].how = manner::slow;
  const std::string unwanted = p.add("b.1", "/b", "b");
  const std::string missing = p.add("c.1", "/c", "c");
  (*p.upstream)["/c"].how = manner::missing;
  p.publish();
  CHECK(p.get(missing).status == 404);
  const std::vector<answer> both = p.get_twice(sum);
  CHECK(both.at(0).body == std::string(3000, 'a'));
  CHECK(both.at(1).body == std::string(3000, 'a'));
  CHECK(p.upstream->asked("/a") == 1);
  CHECK(p.upstream->asked("/b") == 0);
  CHECK(p.status().fetched == 2);
  CHECK(p.status().misses == 1);
  CHECK(p.status().waiting == 1);
}

TEST_CASE("offline nothing is fetched, and what is stored is served", "[mirror][archives]") {
  place p;
  const std::string sum = p.add("a.1", "/a", "hello");
  p.publish();
  p.wait_for(is_idle);
  const std::string late = p.add("b.1", "/b", "late");
  p.options().offline = true;
  p.restart();
  p.wait_for([](const archive_status& s) { return s.is_open; });
  CHECK(p.get(sum).body == "hello");  // before any commit is read
  p.publish();
  CHECK(p.get(late).status == 404);
  CHECK(p.upstream->asked("/b") == 0);
  CHECK(p.status().offline);
}

TEST_CASE("an archive is kept when its source is gone", "[mirror][archives]") {
  place p;
  const std::string sum = p.add("a.1", "/a", "hello");
  p.publish();
  p.wait_for(is_idle);
  (*p.upstream)["/a"].how = manner::missing;
  p.restart();
  p.publish();
  p.wait_for(is_idle);
  CHECK(p.get(sum).body == "hello");
  CHECK(p.upstream->asked("/a") == 1);
}

namespace {

// Eight that take a tenth of a second each. Returns: how many came at once.
int download_slow_ones(place& p) {
  for (int i = 0; i < 8; ++i) {
    const std::string n = std::to_string(i);
    p.add("p" + n + ".1", "/" + n, std::string(4500, 'x') + n);
    (*p.upstream)["/" + n].how = manner::slow;
  }
  p.publish();
  p.wait_for(is_idle);
  CHECK(p.status().present == 8);
  return p.upstream->most_at_once();
}

}  // namespace

TEST_CASE("no more downloads run at once than are allowed", "[mirror][archives]") {
  archive_options o;
  o.jobs = 3;
  o.per_host = 8;
  place p(o);
  CHECK(download_slow_ones(p) == 3);
}

TEST_CASE("a download that failed is tried again by itself, ever later", "[mirror][archives]") {
  archive_options o;
  o.first_delay = std::chrono::milliseconds(1);
  o.jitter = 0;
  place p(o);
  const std::string sum = p.add("a.1", "/a", "hello");
  (*p.upstream)["/a"].how = manner::failing;
  const fermata::time_point began = p.loop.now();
  p.publish();
  p.wait_for(
      [&p](const archive_status& s) { return s.failed == 1 && p.upstream->asked("/a") == 6; });
  CHECK(p.loop.now() - began >= std::chrono::milliseconds(1 + 2 + 4 + 8 + 16));
  CHECK(p.status().failures.at(0).examples.at(0).tries == 6);
  (*p.upstream)["/a"].how = manner::whole;
  p.wait_for([](const archive_status& s) { return s.present == 1; });
  CHECK(p.get(sum).body == "hello");
  CHECK(p.upstream->asked("/a") == 7);
}

TEST_CASE("hosts are spared: few downloads at once, none where it asks to wait",
          "[mirror][archives]") {
  archive_options o;
  o.per_host = 2;
  place p(o);
  CHECK(download_slow_ones(p) == 2);

  p.add("q.1", "/q", "q");
  (*p.upstream)["/q"].how = manner::busy;
  p.publish();
  p.wait_for([](const archive_status& s) { return s.failed == 1; });
  p.add("r.1", "/r", "r");
  p.publish();
  CHECK(p.status().waiting == 1);
  CHECK(p.upstream->asked("/r") == 0);
  REQUIRE(p.status().paused.size() == 1);
  CHECK(p.status().paused[0].name == "127.0.0.1");
  CHECK(p.status().paused[0].left > std::chrono::seconds(60));
}

TEST_CASE("a host may name the date until which it is left alone", "[mirror][archives]") {
  place p;
  p.add("a.1", "/a", "a");
  (*p.upstream)["/a"].how = manner::busy_until;
  p.publish();
  p.wait_for([](const archive_status& s) { return s.failed == 1; });
  p.add("b.1", "/b", "b");  // which waits
  p.publish();
  REQUIRE(p.status().paused.size() == 1);
  CHECK(p.status().paused[0].left > std::chrono::seconds(60));
  CHECK(p.status().paused[0].left <= std::chrono::seconds(120));
}

TEST_CASE("a damaged archive is fetched again", "[mirror][archives]") {
  archive_options o;
  o.check = true;
  place p(o);
  const std::string sum = p.add("a.1", "/a", "hello");
  p.publish();
  p.wait_for(is_idle);
  std::ofstream(p.stored(sum), std::ios::app) << "!";
  p.restart();
  p.publish();
  p.wait_for([](const archive_status& s) { return s.store.damaged == 1 && is_idle(s); });
  CHECK(p.get(sum).body == "hello");
  CHECK(p.upstream->asked("/a") == 2);
}

TEST_CASE("what no package names any more is collected", "[mirror][archives]") {
  archive_options o;
  o.keep = std::chrono::seconds(0);
  o.collect_interval = std::chrono::milliseconds(5);
  place p(o);
  const std::string sum = p.add("a.1", "/a", "hello");
  const std::string stays = p.add("b.1", "/b", "stays");
  p.publish();
  p.wait_for(is_idle);
  p.remove("a.1");
  p.publish();
  p.wait_for([](const archive_status& s) { return s.store.collected == 1; });
  CHECK(p.get(sum).status == 404);
  CHECK(p.get(stays).body == "stays");
}

TEST_CASE("a mirror that is restarted often collects all the same", "[mirror][archives]") {
  archive_options o;
  o.keep = std::chrono::seconds(0);
  o.collect_interval = std::chrono::hours(1);
  place p(o);
  p.add("a.1", "/a", "hello");
  const std::string stays = p.add("b.1", "/b", "stays");
  p.publish();
  p.wait_for(is_idle);
  CHECK(p.status().store.archives == 2);
  p.remove("a.1");
  p.change_while_down = [&p] { p.publish(); };
  p.restart();
  p.wait_for([](const archive_status& s) { return s.store.collected == 1; });
  CHECK(p.get(stays).body == "stays");
}

TEST_CASE("downloads keep to their rate together", "[mirror][archives]") {
  archive_options o;
  o.download_bytes_per_second = 1'000'000;
  place p(o);
  for (int i = 0; i < 4; ++i) {
    const std::string n = std::to_string(i);
    p.add("p" + n + ".1", "/" + n, std::string(50'000, static_cast<char>('a' + i)));
  }
  const fermata::time_point began = p.loop.now();
  p.publish();
  p.wait_for(is_idle);
  CHECK(p.status().present == 4);
  CHECK(p.loop.now() - began >= std::chrono::milliseconds(200));
}

TEST_CASE("several ranges are answered with all, as RFC 9110 allows", "[mirror][archives]") {
  place p;
  const std::string bytes = "0123456789" + std::string(200'000, 'x');
  const std::string sum = p.add("a.1", "/a", bytes);
  p.publish();
  p.wait_for(is_idle);
  const answer all = p.get(sum, "Range: bytes=0-1,5-6\r\n");
  CHECK(all.status == 200);
  CHECK(all.body == bytes);
  const answer touching = p.get(sum, "Range: bytes=0-1,2-6\r\n");
  CHECK(touching.status == 206);
  CHECK(touching.field("Content-Range") == "bytes 0-6/200010");
  CHECK(touching.body == "0123456");
  CHECK(p.get(sum, "Range: bytes=-2\r\n").body == "xx");
  const answer beyond = p.get(sum, "Range: bytes=200010-\r\n");
  CHECK(beyond.status == 416);
  CHECK(beyond.field("Content-Range") == "bytes */200010");
  CHECK(beyond.field("Cache-Control").empty());  // else a cache might keep it for the archive
  const std::string etag = "\"" + archive_hash::parse(sum)->hex() + "\"";
  CHECK(p.get(sum, "Range: bytes=0-3\r\nIf-Range: " + etag + "\r\n").body == "0123");
  CHECK(p.get(sum, "Range: bytes=0-3\r\nIf-Range: \"other\"\r\n").status == 200);
}
