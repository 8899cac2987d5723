// SPDX-License-Identifier: MIT
// A store that a filter left objects out of: what can be done with it, and what is refused.

#include "support/git_program.hpp"
#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/change.hpp>
#include <fermata/git_mem/compact.hpp>
#include <fermata/git_mem/export_bare.hpp>
#include <fermata/git_mem/fetch.hpp>
#include <fermata/git_mem/saved_store.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/loop/event_loop.hpp>

#include <catch2/catch.hpp>

#include <filesystem>
#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;

namespace {

struct origin {
  origin() {
    at.run(
        "git init -q -b main r && cd r && git config uploadpack.allowFilter true && mkdir a b && "
        "for i in 1 2 3; do seq 500 > a/same; echo $i >> a/same; echo $i > b/f$i; git add .; "
        "git commit -qm $i; done && git tag -a -m t v1 main~1");
  }
  void commit(const std::string& text) const {
    at.run("cd r && echo " + text + " >> a/same && echo " + text +
           " > b/new && git add . && git commit -qm " + text);
  }
  fetch_result fetch_from(const std::string& filter) {
    clone_options options;
    options.depth = 0;
    options.filter = filter;
    options.also = {"refs/tags/"};
    const std::string url = (at.path() / "r").string();
    return loop.run([&] { return fetch(store, url, options); });
  }
  compact_report make_compact() {
    return loop.run([&] { return compact(store); });
  }
  // "b/f1:there b/f2:absent "
  std::string files(const object_id& commit) {
    std::string all;
    loop.run([&] {
      return walk_files(store.current(), commit, "", [&](const tree_walk::entry& e) {
        all += e.path + (e.is_absent ? ":absent " : ":there ");
        return fermata::ready();
      });
    });
    return all;
  }

  temp_folder at;
  fermata::event_loop loop{fermata::testing::options_of_run()};
  object_store store;
};

}  // namespace

TEST_CASE("a partial store is fetched into, compacted, listed and saved",
          "[git_mem][fetch][partial]") {
  origin o;
  const fetch_result first = o.fetch_from("blob:none");
  CHECK(o.store.current()->is_partial);
  CHECK(o.files(first.tip) == "a/same:absent b/f1:absent b/f2:absent b/f3:absent ");
  o.commit("4");
  const fetch_result same = o.fetch_from("blob:none");
  CHECK(same.move == ref_move::forward);
  CHECK(same.changes.size() == 2);
  const std::uint64_t objects = o.store.current()->object_count();
  CHECK(o.make_compact().objects_after == objects);
  CHECK(o.store.current()->packs.size() == 1);
  CHECK(o.store.current()->is_partial);

  o.commit("5");  // without a filter its files come, in no thin pack
  const fetch_result whole = o.fetch_from("");
  CHECK(whole.changes.size() == 2);
  CHECK(o.store.current()->is_partial);
  const std::string files = "a/same:there b/f1:absent b/f2:absent b/f3:absent b/new:there ";
  CHECK(o.files(whole.tip) == files);
  o.make_compact();
  CHECK(o.files(whole.tip) == files);

  const std::string path = (o.at.path() / "store").string();
  o.loop.run([&] { return save(o.store, path); });
  o.store.publish(snapshot());
  CHECK_FALSE(o.store.current()->is_partial);
  o.loop.run([&] { return restore(o.store, path); });
  CHECK(o.store.current()->is_partial);
  CHECK(o.files(whole.tip) == files);
  change more(o.store);
  more.set_ref("refs/heads/other", whole.tip);
  o.loop.run([&] { return more.publish(); });
  CHECK(o.store.current()->is_partial);
  CHECK_FALSE(o.fetch_from("blob:none").has_new);
}

TEST_CASE("a store without trees is fetched into and compacted", "[git_mem][fetch][partial]") {
  origin o;
  o.fetch_from("tree:0");
  CHECK(o.store.current()->object_count() == 4);  // commits and a tag
  o.make_compact();
  CHECK(o.store.current()->object_count() == 4);
  o.commit("4");
  const fetch_result more = o.fetch_from("blob:none");
  CHECK(more.move == ref_move::forward);
  CHECK(more.changes.empty());  // the tree before is not there
  CHECK(o.make_compact().packs_before == 2);
  CHECK(o.files(more.tip) == "a/same:absent b/f1:absent b/f2:absent b/f3:absent b/new:absent ");
}

TEST_CASE("a partial store is not exported", "[git_mem][partial]") {
  origin o;
  o.fetch_from("blob:none");
  const std::string path = (o.at.path() / "out").string();
  CHECK_THROWS_WITH(o.loop.run([&] { return export_bare(o.store, path); }),
                    Catch::StartsWith("cannot export to " + path + ": the store is a partial"));
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("fermata-git fetches into a partial store, and serves it as one",
          "[git_mem][program][partial]") {
  const temp_folder folder;
  folder.run(
      "git init -q -b main repo && cd repo && git config uploadpack.allowFilter true && "
      "for i in 1 2; do echo $i > f$i && git add . && git commit -qm $i; done");
  folder.run(program() + "clone repo --depth 0 --filter blob:none --save store");
  folder.run("cd repo && echo 3 > f3 && git add . && git commit -qm 3");
  CHECK_THAT(told(folder, "fetch store repo --depth 0 --filter blob:none"),
             Catch::EndsWith(" forward\nstatus 0\n"));
  check_same(folder, "ls-tree store -r HEAD", "ls-tree -r HEAD");
  CHECK_THAT(told(folder, "export store out"), Catch::Contains("the store is a partial clone"));
  const std::string served =
      folder.output("mkfifo said; " + program() +
                    "serve store --listen 127.0.0.1:0 > said & pid=$!; trap 'kill $pid' EXIT; "
                    "read word url < said; git clone -q --bare --filter=blob:none $url some && "
                    "git -C some rev-parse HEAD; git clone -q --bare $url all 2>&1 || true");
  CHECK_THAT(served, Catch::StartsWith(folder.output("git -C repo rev-parse HEAD")) &&
                         Catch::Contains(": not in the store"));
}
