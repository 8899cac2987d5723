// SPDX-License-Identifier: MIT
// Archives of which only a part is there.

#include "store_support.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;

namespace {

archive_origin from_somewhere() {
  archive_origin o;
  o.url = "http://127.0.0.1/a";
  o.validator = "\"1\"";
  return o;
}

// What a writer under a name begins with: bytes and where they come from.
promise<> begin_named(archive_store& s, std::string name, std::string& said) {
  promise<archive_store::writer> beginning = s.begin(hash(name));
  const archive_store::writer w = co_await std::move(beginning);
  said = std::to_string(w.size()) + " " + w.origin().url + " " + w.origin().validator;
}

std::string begin_named(event_loop& loop, archive_store& s, const std::string& name) {
  std::string said;
  loop.run([&] { return begin_named(s, name, said); });
  return said;
}

promise<> write_half(archive_store& s, std::string name) {
  promise<archive_store::writer> beginning = s.begin(hash(name));
  archive_store::writer w = co_await std::move(beginning);
  promise<> keeping = w.keep(from_somewhere());
  co_await keeping;
  promise<> writing = w.write(http::shared_bytes(std::string("hel")));
  co_await writing;
}

promise<> write_rest(archive_store& s, std::string name, std::string rest) {
  promise<archive_store::writer> beginning = s.begin(hash(name));
  archive_store::writer w = co_await std::move(beginning);
  promise<> writing = w.write(http::shared_bytes(std::move(rest)));
  co_await writing;
  promise<stored_archive> finishing = w.finish(std::vector<archive_hash>(1, hash(name)));
  co_await finishing;
}

}  // namespace

TEST_CASE("what a named writer has kept is gone on with, also after a restart", "[mirror][store]") {
  const temp_folder folder;
  {
    event_loop loop(testing::options_of_run());
    const store_ptr store = open(loop, folder.path());
    loop.run([&] { return write_half(*store, sha512); });
    CHECK(store->counts().partial == 1);
    CHECK(store->counts().partial_bytes == 3);
  }
  event_loop loop(testing::options_of_run());
  const store_ptr store = open(loop, folder.path());
  CHECK(store->counts().partial == 1);
  CHECK(store->counts().partial_bytes == 3);
  CHECK_FALSE(store->find(hash(sha512)));
  loop.run([&] { return write_rest(*store, sha512, "lo"); });
  CHECK(fermata::test::read_file(store->path_of(hash(md5))) == "hello");
  CHECK(store->counts().partial == 0);
  CHECK(files_in(folder.path() / ".new") == 0);
  CHECK(begin_named(loop, *store, sha512) == "0  ");
}

TEST_CASE("what was kept and does not fit in the end is kept no longer", "[mirror][store]") {
  const temp_folder folder;
  {
    event_loop loop(testing::options_of_run());
    const store_ptr store = open(loop, folder.path());
    loop.run([&] { return write_half(*store, sha256); });
    CHECK(begin_named(loop, *store, sha256) == "3 http://127.0.0.1/a \"1\"");
    CHECK_THROWS_AS(loop.run([&] { return write_rest(*store, sha256, "p!"); }), archive_mismatch);
    CHECK(store->counts().partial == 0);
  }
  CHECK(files_in(folder.path() / ".new") == 0);
}

TEST_CASE("what is stored is not gone on with, where a kill has left the name that it came under",
          "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  store_ptr store = open(loop, folder.path());
  CHECK(put_in(loop, *store, {"hello"}, {}) == "5");
  const std::string name = ".new/sha256-" + hash(sha256).hex();
  fs::create_hard_link(store->path_of(hash(sha256)), folder.path() / name);
  folder.write(name + ".from", "http://127.0.0.1/a\n\"1\"\nend\n");
  store = open(loop, folder.path());
  CHECK(store->counts().partial == 0);
  CHECK(store->counts().refused_partial == 0);
  CHECK(store->counts().archives == 1);
  CHECK(files_in(folder.path() / ".new") == 0);
  CHECK(begin_named(loop, *store, sha256) == "0  ");
  CHECK(fermata::test::read_file(store->path_of(hash(sha256))) == "hello");
}

TEST_CASE("two writers of one name do not share a file", "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  const store_ptr store = open(loop, folder.path());
  struct tasks {
    static promise<> both(archive_store& s) {
      promise<archive_store::writer> beginning = s.begin(hash(sha256));
      archive_store::writer first = co_await std::move(beginning);
      promise<> writing = first.write(http::shared_bytes(std::string("hel")));
      co_await writing;
      promise<> other = write_rest(s, sha256, "hello");
      co_await other;
      promise<> going_on = first.write(http::shared_bytes(std::string("lo")));
      co_await going_on;
      promise<stored_archive> finishing = first.finish(std::vector<archive_hash>(1, hash(md5)));
      co_await finishing;
    }
  };
  loop.run([&] { return tasks::both(*store); });
  CHECK(fermata::test::read_file(store->path_of(hash(sha512))) == "hello");
  CHECK(store->counts().archives == 1);
}

TEST_CASE("the quota counts what is kept, and nobody's is dropped", "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  store_options options;
  options.quota_bytes = 7;
  store_ptr store = open(loop, folder.path(), options);
  loop.run([&] { return write_half(*store, sha512); });
  store = open(loop, folder.path(), options);
  CHECK(put_in(loop, *store, {"hello"}, {}) == "no room for 5 bytes: the quota of 7 has 4 left");
  const auto drop = [&](bool wanted) {
    std::size_t removed = 0;
    loop.run([&]() -> promise<> {
      return store->drop_partial([wanted](const archive_hash&) { return wanted; })
          .map([&removed](std::size_t n) { removed = n; });
    });
    return removed;
  };
  CHECK(drop(true) == 0);
  CHECK(drop(false) == 1);
  CHECK(store->counts().partial == 0);
  CHECK(put_in(loop, *store, {"hello"}, {}) == "5");
  CHECK(files_in(folder.path() / ".new") == 0);
}

TEST_CASE("a start refuses kept bytes of which nobody knows where they come from",
          "[mirror][store]") {
  const temp_folder folder;
  const std::string name = ".new/sha256-" + hash(sha256).hex();
  for (const char* origin : {"", "http://127.0.0.1/a\n", "http://127.0.0.1/a\n\"1\"\nen",
                             "\n\"1\"\nend\n", "http://127.0.0.1/a\n\nend\n"}) {
    folder.write(name, "hel");
    folder.write(name + ".from", origin);
    event_loop loop(testing::options_of_run());
    const store_ptr store = open(loop, folder.path());
    CHECK(store->counts().refused_partial == 1);
    CHECK(store->counts().partial == 0);
    CHECK(files_in(folder.path()) == 0);
  }
  folder.write(name + ".from", "http://127.0.0.1/a\n\"1\"\nend\n");  // of no bytes
  event_loop loop(testing::options_of_run());
  CHECK(open(loop, folder.path())->counts().refused_partial == 0);
  CHECK(files_in(folder.path()) == 0);
}
