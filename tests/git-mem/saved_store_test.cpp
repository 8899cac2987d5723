// SPDX-License-Identifier: MIT
#include "support/pack_builder.hpp"
#include "support/policy.hpp"
#include "support/saved_bytes.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/analyse.hpp>
#include <fermata/git_mem/object_reader.hpp>
#include <fermata/git_mem/saved_store.hpp>
#include <fermata/loop/event_loop.hpp>

#include <catch2/catch.hpp>

#include <filesystem>
#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using builder = pack_builder;
using fermata::promise;

namespace {

std::string error_of(const std::string& path, const pack_limits& limits = {}) {
  try {
    static_cast<void>(read_saved(path, limits));
    return "";
  } catch (const fermata::error& e) {
    return e.what();
  }
}

// Reads every object of a saved store; false where that is refused.
bool reads_whole(const std::string& path) {
  try {
    saved_store read = read_saved(path);
    auto s = std::make_shared<snapshot>();
    for (auto& p : read.packs) s->packs.push_back(std::move(p));
    for (const auto& p : s->packs) {
      for (std::uint32_t i = 0; i < p->entry_count(); ++i) {
        static_cast<void>(read_object(s, p->entry(i).id, 100'000));
      }
    }
    return true;
  } catch (const failure&) {
    return false;
  }
}

}  // namespace

TEST_CASE("a store is saved to a file and comes back", "[git_mem][saved]") {
  const temp_folder folder;
  const std::string path = (folder.path() / "store").string();
  fermata::event_loop loop(fermata::testing::options_of_run());
  loop.run([&]() -> promise<> {
    object_store store, back;
    fill(store);
    promise<> saved = save(store, path);
    co_await saved;
    promise<> again = save(store, path);  // over the one that is there
    co_await again;
    promise<> restored = restore(back, path);
    co_await restored;
    const snapshot_ptr s = back.current();
    CHECK(s->packs.size() == 2);
    CHECK(s->refs.size() == 2);
    CHECK(s->find_ref("HEAD")->symbolic_target == "refs/heads/main");
    CHECK(s->find_ref("refs/heads/main")->id == blob_id("text"));
    CHECK(s->is_shallow(blob_id("text")));
    CHECK(s->object_count() == 4);
    CHECK(read_object(s, blob_id("text")).text() == "text");
    CHECK(read_object(s, blob_id("textno")).text() == "textno");
    CHECK(read_object(s, blob_id("a text that is a base")).text() == "a text that is a base");
    const std::string large(70'000, 'x');
    CHECK(read_object(s, blob_id(large), 100'000).text() == large);
  });
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("an empty store is saved too", "[git_mem][saved]") {
  const temp_folder folder;
  const std::string path = (folder.path() / "store").string();
  write_saved(object_store().current(), path);
  CHECK(read_saved(path).packs.empty());
}

TEST_CASE("a damaged saved store is refused with its place", "[git_mem][saved]") {
  const temp_folder folder;
  const std::string path = (folder.path() / "store").string();
  object_store store;
  fill(store);
  write_saved(store.current(), path);
  const std::string good = read_file(path);
  const std::string what = "cannot restore " + path + ": byte ";
  for (std::size_t n = 0; n < good.size(); n += n < 700 ? 1 : 997) {
    folder.write("store", good.substr(0, n));
    CHECK_THAT(error_of(path), Catch::StartsWith(what));
    std::string damaged = good;
    damaged[n] = static_cast<char>(damaged[n] ^ 0x11);
    folder.write("store", damaged);
    CHECK_THAT(error_of(path), Catch::StartsWith(what));
  }
  folder.write("store", good + "x");
  CHECK(error_of(path) == what + std::to_string(good.size()) + ": bytes after the end");
  folder.write("store", "");
  CHECK(error_of(path) == what + "0: this is no saved store");
  folder.write("store", "fermata git store 2\n" + good.substr(20));
  CHECK(error_of(path) == what + "20: another version: this one reads version 1");
  std::string damaged = good;
  damaged[60] = 'x';
  folder.write("store", damaged);
  CHECK_THAT(error_of(path),
             Catch::EndsWith(": section \"refs\": its checksum is not the one it says"));
  std::string wrong_size = good;
  wrong_size[20 + 15] = 1;
  folder.write("store", wrong_size);
  CHECK(error_of(path) ==
        what + "36: section \"refs\": it has 72057594037928018 bytes, more than the file");
  CHECK(error_of((folder.path() / "none").string()) ==
        "cannot open " + (folder.path() / "none").string() +
            ": no such file or directory (uv ENOENT)");
}

TEST_CASE("limits hold for a saved store", "[git_mem][saved]") {
  const temp_folder folder;
  const std::string path = (folder.path() / "store").string();
  object_store store;
  fill(store);
  write_saved(store.current(), path);
  pack_limits limits;
  limits.objects = 1;
  CHECK_THAT(error_of(path, limits),
             Catch::EndsWith("section \"entries\": 2 objects, the limit is 1"));
  limits = {};
  limits.pack_bytes = 50;
  CHECK_THAT(error_of(path, limits), Catch::Contains(" bytes, the limit is 50"));
  limits = {};
  limits.object_bytes = 1000;
  CHECK_THAT(error_of(path, limits), Catch::EndsWith("entry 1: it is larger than the limit"));
}

// The checksums are right, the content is not: nothing may be read outside, or without an end.
TEST_CASE("a saved store that lies is refused, or read without harm", "[git_mem][saved]") {
  const temp_folder folder;
  const std::string path = (folder.path() / "store").string();
  object_store store;
  fill(store);
  write_saved(store.current(), path);
  const std::string good = read_file(path);
  REQUIRE(resummed(good) == good);
  int refused = 0;
  for (std::size_t n = 20; n < good.size(); ++n) {
    std::string lie = good;
    lie[n] = static_cast<char>(lie[n] ^ (1 << (n * 7 % 8)));
    folder.write("store", resummed(lie));
    if (!reads_whole(path)) ++refused;
  }
  CHECK(refused > 150);
}

TEST_CASE("a base that a thin pack brings again is read by its older copy", "[git_mem][saved]") {
  object_store store;
  builder old;
  old.object(builder::blob, "one text");
  snapshot first;
  first.packs.push_back(store.adopt(analyse(old.finish()).pack));
  store.publish(first);
  builder thin;  // "two text" on "one text", which is brought again as a delta on "two text"
  thin.ref_delta(blob_id("one text"), make_delta(8, 8, insert_ops("two") + copy_op(3, 5)));
  thin.ref_delta(blob_id("two text"), make_delta(8, 8, insert_ops("one") + copy_op(3, 5)));
  analysed a = analyse(thin.finish(), {}, store.current());
  REQUIRE(a.error == "");
  snapshot next;
  next.packs.push_back(store.adopt(std::move(a.pack)));
  next.packs.push_back(store.current()->packs[0]);
  store.publish(std::move(next));
  CHECK(read_object(store.current(), blob_id("two text")).text() == "two text");
  CHECK(read_object(store.current(), blob_id("one text")).text() == "one text");
}

TEST_CASE("a save that cannot be written leaves the old one", "[git_mem][saved]") {
  const temp_folder folder;
  const std::string nowhere = (folder.path() / "no" / "store").string();
  fermata::event_loop loop(fermata::testing::options_of_run());
  std::string error;
  loop.run([&]() -> promise<> {
    object_store store;
    promise<> saved = save(store, nowhere);
    try {
      co_await saved;
    } catch (const fermata::error& e) {
      error = e.what();
    }
  });
  CHECK(error ==
        "cannot make a file beside " + nowhere + ": no such file or directory (uv ENOENT)");
}

TEST_CASE("the real repository is saved and restored", "[git_mem][saved]") {
  std::filesystem::path tar;
  if (!find_shared_data("opam-repository-depth1.git.tar", tar)) return;
  const temp_folder folder;
  folder.run("tar xf '" + std::filesystem::absolute(tar).string() + "'");
  const std::string path = (folder.path() / "store").string();
  const snapshot_ptr s = snapshot_of(analyse(folder.output("cat */objects/pack/*.pack")).pack);
  write_saved(s, path);
  const saved_store back = read_saved(path);
  REQUIRE(back.packs.size() == 1);
  CHECK(back.packs[0]->object_count() == 42156);
  std::uint64_t different = 0;
  for (std::uint32_t i = 0; i < 42156; ++i) {
    const pack_entry& a = s->packs[0]->entry(i);
    const auto n = back.packs[0]->find(a.id);
    const pack_entry& b = back.packs[0]->entry(n.value_or(0));
    const bool same = b.id == a.id && b.size == a.size && b.offset == a.offset &&
                      b.depth == a.depth && b.kind == a.kind && b.delta == a.delta;
    if (!same) ++different;
  }
  CHECK(different == 0);
}
