// SPDX-License-Identifier: MIT
// What a mirror of archives knows after a restart.

#include "archive_place.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <string>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using Catch::Matchers::Contains;

namespace {

bool is_at_rest(const archive_status& s) { return s.is_open && s.waiting == 0 && s.active.empty(); }

// With one archive, whose download broke in its middle.
struct broken_place : place {
  explicit broken_place(std::string all = std::string(50'000, 'a'),
                        archive_options o = archive_options())
      : place(std::move(o)), bytes(std::move(all)), sum(add("a.1", "/a", bytes)) {
    upstream_is(manner::cut);
    publish();
    wait_for(is_idle);
  }
  void upstream_is(manner how) { (*upstream)["/a"].how = how; }
  /// The file that has what came of it.
  std::string kept() {
    return options().folder + "/.new/sha256-" + archive_hash::parse(sum)->hex();
  }

  const std::string bytes;
  const std::string sum;
};

}  // namespace

TEST_CASE("a download that broke goes on after a restart", "[mirror][archives]") {
  broken_place p(std::string(30'000, 'a') + std::string(20'000, 'b'));
  CHECK(failures(p.status()) == "broken off=1 ");
  CHECK(p.status().store.partial == 1);
  const int asked = p.upstream->asked("/a");
  const int ranges = p.upstream->asked_from_middle();
  p.upstream_is(manner::whole);
  p.restart();
  p.wait_for(is_at_rest);
  CHECK(p.status().store.partial == 1);
  CHECK(p.upstream->asked("/a") == asked);  // it has a time of its own
  CHECK(p.service().retry("broken off") == 1);
  p.wait_for([](const archive_status& s) { return s.present == 1; });
  CHECK(p.upstream->asked_from_middle() == ranges + 1);
  CHECK(p.get(p.sum).body == p.bytes);
  CHECK(p.status().store.partial == 0);
}

TEST_CASE("what was kept and is not what it was is fetched from its beginning",
          "[mirror][archives]") {
  broken_place p;
  p.upstream_is(manner::whole);
  SECTION("bytes that the disk has changed") {
    p.change_while_down = [&] { std::ofstream(p.kept()) << std::string(1000, 'x'); };
  }
  SECTION("all, and more than there is") {
    p.change_while_down = [&] { std::ofstream(p.kept()) << std::string(60'000, 'x'); };
  }
  p.restart();
  p.wait_for(is_at_rest);
  p.service().retry();
  p.wait_for([](const archive_status& s) { return s.present == 1; });
  CHECK(p.get(p.sum).body == p.bytes);
}

TEST_CASE("a download that is whole but for its name is not fetched again", "[mirror][archives]") {
  broken_place p;
  p.upstream_is(manner::whole);
  p.change_while_down = [&] { std::ofstream(p.kept()) << p.bytes; };
  const int asked = p.upstream->asked("/a");
  p.restart();
  p.wait_for(is_at_rest);
  p.service().retry();
  p.wait_for([](const archive_status& s) { return s.present == 1; });
  CHECK(p.upstream->asked("/a") == asked + 1);  // which was told that there is no more
  CHECK(p.get(p.sum).body == p.bytes);
}

TEST_CASE("a server that gives another part than was asked for is asked for all",
          "[mirror][archives]") {
  broken_place p;
  p.upstream_is(manner::misled);
  const int asked = p.upstream->asked("/a");
  p.service().retry();
  p.wait_for([](const archive_status& s) { return s.present == 1; });
  CHECK(p.upstream->asked("/a") == asked + 2);
  CHECK(p.get(p.sum).body == p.bytes);
}

TEST_CASE("what was kept counts where an archive is too large", "[mirror][archives]") {
  broken_place p;
  CHECK(p.status().store.partial_bytes == 25'000);
  p.upstream_is(manner::whole);
  p.change_while_down = [&] { p.options().largest_bytes = 30'000; };
  p.restart();  // with another limit it is tried at once
  p.wait_for(is_at_rest);
  CHECK(failures(p.status()) == "too large=1 ");
  CHECK(p.status().store.partial == 0);
}

TEST_CASE("failed downloads keep their schedule over a restart", "[mirror][archives]") {
  place p;
  const std::string lost = p.add("a.1", "/a", "a");
  (*p.upstream)["/a"].how = manner::missing;
  p.add("b.1", "/b", "b");
  (*p.upstream)["/b"].how = manner::failing;
  const std::string later = p.add("c.1", "/c", "c");
  (*p.upstream)["/c"].how = manner::missing;
  p.publish();
  p.wait_for(is_idle);
  const archive_status before = p.status();
  CHECK(failures(before) == "http 404=2 http 500=1 ");
  p.restart();
  p.wait_for(is_at_rest);
  const archive_status after = p.status();
  CHECK(failures(after) == failures(before));
  CHECK(p.upstream->asked("/a") == 1);
  CHECK(p.upstream->asked("/b") == 1);
  REQUIRE(after.failures.size() == 2);
  const failed_download& f = after.failures[1].examples.at(0);
  CHECK(f.text == before.failures[1].examples.at(0).text);
  CHECK(f.since == before.failures[1].examples.at(0).since);
  CHECK(f.packages == "b.1");
  CHECK(f.tries == 1);
  CHECK(f.next_try > std::chrono::minutes(30));
  CHECK_THAT(p.get(lost).body, Contains("it answered 404"));
  (*p.upstream)["/b"].how = manner::whole;
  CHECK(p.service().retry("http 500") == 1);
  p.wait_for([](const archive_status& s) { return s.present == 1; });

  SECTION("what is declared elsewhere now is tried at once") {
    p.add("c.1", "/c2", "c");
    p.publish();
    p.restart();
    p.wait_for(is_at_rest);
    CHECK(p.get(later).body == "c");
    CHECK(failures(p.status()) == "http 404=1 ");
  }
  SECTION("with another upstream cache all are tried at once") {
    p.change_while_down = [&] { p.options().upstream_caches = {p.upstream->url("/up/")}; };
    p.restart();
    p.wait_for(is_at_rest);
    CHECK(p.upstream->asked("/a") == 2);
    CHECK(p.upstream->asked("/c") == 2);
  }
  SECTION("a damaged list is set aside, said, and all are tried at once") {
    const std::string list = p.options().folder + "/failures";
    p.change_while_down = [&] { std::ofstream(list, std::ios::app) << "{}\n"; };
    p.restart();
    p.wait_for(is_at_rest);
    CHECK_THAT(p.logged, Contains("cannot use what was known of failures: " + list +
                                  ": its checksum does not fit; it is now " + list + ".refused"));
    CHECK(std::filesystem::exists(list + ".refused"));
    CHECK(p.upstream->asked("/a") == 2);
    CHECK(p.upstream->asked("/c") == 2);
  }
}

TEST_CASE("what is partly there makes room for what is whole", "[mirror][archives]") {
  archive_options o;
  o.quota_bytes = 60'000;
  broken_place p(std::string(50'000, 'a'), o);
  CHECK(p.status().store.partial_bytes == 25'000);
  const std::string sum = p.add("b.1", "/b", std::string(40'000, 'b'));
  p.publish();
  p.wait_for([](const archive_status& s) { return s.present == 1; });
  CHECK(failures(p.status()) == "broken off=1 ");
  CHECK(p.status().store.partial == 0);
  CHECK(p.upstream->asked("/b") == 2);
  CHECK(p.get(sum).body.size() == 40'000);
}
