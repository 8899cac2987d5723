// SPDX-License-Identifier: MIT
// What stands before the @ of a URL is shown to nobody and written nowhere.

#include "archive_place.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using Catch::Matchers::Contains;

namespace {

bool is_at_rest(const archive_status& s) { return s.is_open && s.waiting == 0 && s.active.empty(); }

std::string with_secret(std::string url) { return url.insert(url.find("://") + 3, "bob:hunter2@"); }

// All that a status holds of URLs and what became of them.
std::string urls_of(const archive_status& s) {
  std::string all;
  for (const download_status& d : s.active) all += d.url + "\n";
  for (const failure_group& g : s.failures) {
    for (const failed_download& f : g.examples) all += f.url + " " + f.text + "\n";
  }
  return all;
}

// A package whose archive has a URL with credentials; gives its checksum.
std::string add_secret(place& p, const std::string& package, const std::string& path) {
  const std::string sum = "sha256=" + sum_of(p.folder(), "sha256sum", package);
  p.write(package, "opam-version: \"2.0\"\nurl { src: \"" + with_secret(p.upstream->url(path)) +
                       "\" checksum: \"" + sum + "\" }\n");
  return sum;
}

void check_nothing_kept(place& p) {
  CHECK(p.folder().output("grep -r hunter2 cache || echo nowhere") == "nowhere\n");
}

}  // namespace

TEST_CASE("a failure shows no credentials of a URL, nor does the log", "[mirror][archives]") {
  place p;
  p.options().upstream_caches = {with_secret(p.upstream->url("/mirror"))};
  p.restart();
  for (const std::string name : {"gone", "bad"}) add_secret(p, name + ".1", "/" + name);
  (*p.upstream)["/gone"].how = manner::missing;
  (*p.upstream)["/bad"].bytes = "other";
  p.publish();
  p.wait_for([](const archive_status& s) { return s.failed == 2; });
  const std::string before = urls_of(p.status());
  CHECK_THAT(before, Contains("cannot get " + p.upstream->url("/gone")) &&
                         Contains("cannot use " + p.upstream->url("/bad")));
  CHECK_THAT(before + p.logged, !Contains("hunter2"));
  p.restart();  // what is known of them is kept
  p.wait_for(is_at_rest);
  check_nothing_kept(p);
  CHECK(urls_of(p.status()) == before);
  CHECK(p.upstream->asked("/gone") == 1);
}

TEST_CASE("a download under way shows no credentials of a cache", "[mirror][archives]") {
  place p;
  p.options().upstream_caches = {with_secret(p.upstream->url("/mirror"))};
  p.restart();
  const std::string sum = p.add("a.1", "/a", "hello");
  (*p.upstream)["/a"].how = manner::missing;
  const std::string path = "/mirror/" + archive_hash::parse(sum)->path();
  (*p.upstream)[path].how = manner::hanging;
  p.publish();
  const std::string url = p.upstream->url(path);
  p.wait_for([&](const archive_status& s) {
    return !s.active.empty() && s.active[0].url.ends_with(path) && p.upstream->asked(path) == 1;
  });
  CHECK(p.status().active.at(0).url == url);
}

TEST_CASE("a download with credentials that broke goes on after a restart", "[mirror][archives]") {
  place p;
  const std::string bytes(100'000, 'x');
  const std::string sum = p.add("a.1", "/a", bytes);
  (*p.upstream)["/a"].how = manner::cut;
  p.write("a.1", "url { src: \"" + with_secret(p.upstream->url("/a")) + "\" checksum: \"" + sum +
                     "\" }\n");
  p.publish();
  p.wait_for([](const archive_status& s) { return s.failed == 1; });
  check_nothing_kept(p);
  (*p.upstream)["/a"].how = manner::whole;
  const int ranges = p.upstream->asked_from_middle();
  p.restart();
  p.wait_for(is_at_rest);
  CHECK(p.service().retry() == 1);
  p.wait_for([](const archive_status& s) { return s.present == 1; });
  CHECK(p.upstream->asked_from_middle() == ranges + 1);
  CHECK(p.get(sum).body == bytes);
}
