// SPDX-License-Identifier: MIT
// Stored archives whose files are lost, cut short or replaced.

#include "archive_place.hpp"
#include "store_support.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <string>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kinds[] = {"md5", "sha256", "sha512"};

bool recover(event_loop& loop, archive_store& store, const std::string& name) {
  bool is_there = false;
  loop.run([&]() -> promise<> {
    return store.recover(store.find(hash(name))->key()).map([&is_there](bool b) { is_there = b; });
  });
  return is_there;
}

// A mirror that has one archive, which nobody has asked for.
struct stored_place : place {
  explicit stored_place(archive_options o = archive_options())
      : place(std::move(o)), sum(add("a.1", "/a", bytes)) {
    publish();
    wait_for([](const archive_status& s) { return s.present == 1; });
  }
  std::string cache() { return options().folder; }
  void lose() {
    for (const char* kind : kinds) fs::remove_all(cache() + "/" + kind);
  }

  const std::string bytes = std::string(50'000, 'a');
  const std::string sum;
};

}  // namespace

TEST_CASE("an archive that is not where it was is read from another of its names",
          "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  const store_ptr store = open(loop, folder.path());
  CHECK(put_in(loop, *store, {"hello"}, {md5}) == "5");
  CHECK(recover(loop, *store, sha256));
  fs::remove(store->path_of(hash(sha256)));
  CHECK(recover(loop, *store, sha256));
  CHECK(fs::hard_link_count(store->path_of(hash(sha256))) == 3);

  fs::remove(store->path_of(hash(sha256)));
  fs::remove(store->path_of(hash(md5)));
  std::ofstream(store->path_of(hash(md5))) << "other";
  CHECK(recover(loop, *store, sha256));
  CHECK(fermata::test::read_file(store->path_of(hash(md5))) == "hello");

  fs::resize_file(store->path_of(hash(sha256)), 2);
  CHECK_FALSE(recover(loop, *store, sha256));
  CHECK_FALSE(store->find(hash(md5)));
  CHECK(fermata::test::read_file(folder.path() / "damaged" / hash(sha256).hex()) == "he");
  CHECK(files_in(folder.path()) == 1);
  CHECK(store->counts().damaged == 1);

  CHECK(put_in(loop, *store, {"hello"}, {}) == "5");
  for (const char* kind : kinds) fs::remove_all(folder.path() / kind);
  CHECK_FALSE(recover(loop, *store, sha256));
  CHECK(store->counts().damaged == 1);
  CHECK(store->counts().archives == 0);
}

TEST_CASE("a stored archive whose file is lost is fetched again by who asks",
          "[mirror][archives]") {
  stored_place p;
  p.lose();
  for (const answer& a : p.get_twice(p.sum)) {
    const bool is_told_to_wait = a.status == 503 && a.body == "the archive is being fetched\n";
    CHECK((a.body == p.bytes || is_told_to_wait));
  }
  CHECK(p.get(p.sum).body == p.bytes);
  CHECK(p.upstream->asked("/a") == 2);
  CHECK(p.status().present == 1);
  CHECK_THAT(p.logged, Contains("cannot open " + p.stored(p.sum)));
  CHECK(fs::hard_link_count(p.stored(p.sum)) == 3);
}

TEST_CASE("a stored archive that is cut short is never served, but fetched again",
          "[mirror][archives]") {
  stored_place p;
  fs::resize_file(p.stored(p.sum), 50);
  CHECK(p.get(p.sum).body == p.bytes);
  CHECK(p.upstream->asked("/a") == 2);
  CHECK(p.status().store.damaged == 1);
  CHECK_THAT(p.logged, Contains(p.stored(p.sum) + " has 50 bytes, not 50000"));
  CHECK(files_in(p.cache() + "/damaged") == 1);
}

TEST_CASE("a lost archive that cannot be fetched is one that is missing", "[mirror][archives]") {
  stored_place p;
  (*p.upstream)["/a"].how = manner::missing;
  p.lose();
  CHECK(p.get(p.sum).status == 404);
  CHECK(p.status().present == 0);
  CHECK(failures(p.status()) == "http 404=1 ");
}

TEST_CASE("a stored archive that may not be looked at is not given up", "[mirror][archives]") {
  stored_place p;
  const fs::path top = fs::path(p.cache()) / "sha256";
  fs::rename(top, p.cache() + "/away");
  fs::create_symlink("sha256", top);  // a loop: it works for root too
  CHECK(p.get(p.sum).status == 503);
  CHECK(p.status().present == 1);
  fs::remove(top);
  fs::rename(p.cache() + "/away", top);
  CHECK(p.get(p.sum).body == p.bytes);
  CHECK(p.upstream->asked("/a") == 1);
}
