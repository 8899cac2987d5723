// SPDX-License-Identifier: MIT
#include "support/git_snapshot.hpp"
#include "support/policy.hpp"
#include "support/random_repository.hpp"

#include <fermata/git_mem/change.hpp>
#include <fermata/git_mem/compact.hpp>
#include <fermata/git_mem/export_bare.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/pause.hpp>

#include <catch2/catch.hpp>

#include <filesystem>
#include <set>
#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::bytes_of;
using fermata::promise;

namespace {

template <typename Start>
void run(Start start) {
  fermata::event_loop loop(fermata::testing::options_of_run());
  loop.run(start);
}

// A store of these packs of `repo`, the last one the newest, with all its refs.
void fill_from(object_store& store,
               const temp_folder& repo,
               const std::vector<std::string>& packs) {
  snapshot next = *all_of(repo);
  next.packs.clear();
  for (const std::string& objects : packs) {
    auto bases = std::make_shared<snapshot>();
    bases->packs = next.packs;
    analysed a = analyse(repo.output("git pack-objects --stdout -q " + objects), {}, bases);
    REQUIRE(a.error == "");
    next.packs.insert(next.packs.begin(), store.adopt(std::move(a.pack)));
  }
  store.publish(std::move(next));
}

std::set<std::string> names_in(const snapshot& s) {
  std::set<std::string> names;
  for (const auto& p : s.packs) {
    for (std::uint32_t i = 0; i < p->entry_count(); ++i) names.insert(p->entry(i).id.hex());
  }
  return names;
}

std::set<std::string> set_of(const std::string& lines) {
  const std::vector<std::string> all = lines_of(lines);
  return {all.begin(), all.end()};
}

std::uint64_t check_all_names(const snapshot_ptr& s) {
  std::uint64_t wrong = 0;
  for (const std::string& name : names_in(*s)) {
    const object o = read_object(s, *object_id::from_hex(name), 1 << 20);
    if (name_object(o.type, o.bytes()) != o.id) ++wrong;
  }
  return wrong;
}

}  // namespace

TEST_CASE("compact keeps what refs reach, in one pack", "[git_mem][compact]") {
  const temp_folder repo;
  fill_randomly(repo, GENERATE(31U, 32U), 120);
  repo.run(
      "git branch gone main~15 && git rev-parse main~30 > old && "
      "(git rev-parse main && git rev-parse ^main~30) > new");
  object_store store;
  // an older state, then what came since as a thin pack, then all again: duplicates
  fill_from(store, repo, {"--revs < old", "--thin --revs < new", "--all --revs </dev/null"});
  const snapshot_ptr before = store.current();
  snapshot fewer = *before;  // refs that go make objects unreachable
  std::erase_if(fewer.refs, [](const reference& r) {
    return r.name.starts_with("refs/tags/") || r.name == "refs/heads/b1";
  });
  store.publish(fewer);
  repo.run("git tag -l | xargs git tag -d >/dev/null && git branch -qD b1");
  compact_report report;
  run([&]() -> promise<> {
    promise<compact_report> compacting = compact(store);
    report = co_await compacting;
  });
  const snapshot_ptr after = store.current();
  CHECK(after->packs.size() == 1);
  CHECK(names_in(*after) == set_of(repo.output("git rev-list --objects --all | cut -d' ' -f1")));
  CHECK(check_all_names(after) == 0);
  CHECK(after->refs.size() == fewer.refs.size());
  CHECK(report.packs_before == 3);
  CHECK(report.objects_before == before->object_count());
  CHECK(report.objects_after == after->object_count());
  CHECK(report.bytes_before == before->pack_bytes());
  CHECK(report.bytes_after == after->pack_bytes());
  CHECK(report.bytes_after < report.bytes_before);
  CHECK(check_all_names(before) == 0);  // readers keep theirs
  run([&]() -> promise<> {
    promise<compact_report> compacting = compact(store);
    co_await compacting;
  });
  CHECK(store.current() == after);  // nothing to do
}

TEST_CASE("many changes do not grow a store that is compacted", "[git_mem][compact]") {
  object_store store;
  run([&]() -> promise<> {
    std::uint64_t settled = 0;
    std::string content(2000, 'x');
    for (int i = 0; i < 200; ++i) {
      content.replace(0, 4, std::to_string(1000 + i));
      change c(store);
      promise<object_id> blob_added = c.add_blob(bytes_of(content));
      std::vector<tree_item> items;
      const object_id blob = co_await blob_added;
      items.push_back({file_mode::file, "f", blob});
      promise<object_id> tree_added = c.add_tree(items);
      commit next;
      next.tree = co_await tree_added;
      next.message = std::to_string(1000 + i);
      promise<object_id> committed = c.add_commit(next);  // no parent: the old one is garbage
      const object_id id = co_await committed;
      c.set_ref("refs/heads/main", id);
      promise<> published = c.publish();
      co_await published;
      if (i % 20 != 19) continue;
      promise<compact_report> compacting = compact(store);
      const compact_report r = co_await compacting;
      CHECK(r.objects_before == (i == 19 ? 60 : 63));
      CHECK(r.objects_after == 3);
      if (settled == 0) settled = r.bytes_after + 200;
      CHECK(r.bytes_after < settled);
      CHECK(store.current()->packs.size() == 1);
    }
  });
}

TEST_CASE("compact leaves the store where an object is missing or others publish",
          "[git_mem][compact]") {
  const temp_folder repo;
  fill_randomly(repo, 33, 30);
  object_store store;
  fill_from(store, repo, {"--revs --all --filter=blob:none </dev/null"});
  const snapshot_ptr before = store.current();
  std::string missing, conflict;
  fermata::loop_options always;
  always.when = fermata::policy::always();
  fermata::event_loop loop(std::move(always));
  loop.run([&]() -> promise<> {
    promise<compact_report> compacting = compact(store);
    try {
      co_await compacting;
    } catch (const failure& f) {
      missing = f.what();
    }
    CHECK(store.current() == before);
    object_store whole;
    fill_from(whole, repo, {"--all --revs </dev/null", "--all --revs </dev/null"});
    promise<compact_report> again = compact(whole);
    while (again.is_pending()) {
      whole.publish(*whole.current());
      co_await fermata::pause();
    }
    try {
      co_await again;
    } catch (const failure& f) {
      conflict = f.what();
    }
    CHECK(whole.current()->packs.size() == 2);
  });
  CHECK_THAT(missing, Catch::EndsWith(": not in the store"));
  CHECK(conflict == "cannot compact the store: others kept publishing");
}

TEST_CASE("export_bare makes what git fsck --full --strict accepts", "[git_mem][compact]") {
  const temp_folder folder, repo;
  fill_randomly(repo, GENERATE(34U, 35U), 100);
  object_store store;
  fill_from(store, repo, {"--revs --all </dev/null"});
  const std::string to = (folder.path() / "a/b.git").string();
  std::string again;
  run([&]() -> promise<> {
    promise<> exported = export_bare(store, to);
    co_await exported;
    promise<> twice = export_bare(store, to);
    try {
      co_await twice;
    } catch (const failure& f) {
      again = f.what();
    }
  });
  CHECK(again == "cannot export to " + to + ": it is not empty");
  CHECK(folder.output("git -C a/b.git fsck --full --strict 2>&1") == "");
  folder.run(
      "git -C a/b.git verify-pack a/b.git/objects/pack/*.idx 2>&1 || "
      "git verify-pack a/b.git/objects/pack/*.idx");
  CHECK(folder.output("git -C a/b.git for-each-ref") == repo.output("git for-each-ref"));
  CHECK(folder.output("git -C a/b.git symbolic-ref HEAD") == "refs/heads/main\n");
  CHECK(set_of(folder.output("git -C a/b.git cat-file --batch-all-objects --batch-check")) ==
        set_of(repo.output("git cat-file --batch-all-objects --batch-check")));
  folder.run("git clone -q a/b.git clone");
}

TEST_CASE("a shallow snapshot is exported shallow, an empty one empty", "[git_mem][compact]") {
  const temp_folder folder, repo;
  fill_randomly(repo, 36, 40);
  folder.run("git clone -q --depth 3 --bare 'file://" + repo.path().string() + "' shallow.git");
  const temp_folder cut;
  cut.run("cp -a '" + (folder.path() / "shallow.git").string() + "' .git");
  auto s = std::make_shared<snapshot>(*all_of(cut));
  REQUIRE(!s->shallow.empty());
  s->refs.push_back({"refs/heads/zz-not-fetched", blob_id("elsewhere"), {}});
  s->refs.push_back({"refs/remotes/o/HEAD", s->find_ref("HEAD")->id, "refs/heads/main"});
  object_store none;
  run([&]() -> promise<> {
    promise<> exported = export_bare(s, (folder.path() / "out.git").string());
    co_await exported;
    promise<> empty = export_bare(none, (folder.path() / "none.git").string());
    co_await empty;
  });
  CHECK(folder.output("git -C out.git fsck --full --strict 2>&1") == "");
  CHECK(folder.output("sort out.git/shallow") == folder.output("sort shallow.git/shallow"));
  CHECK(folder.output("git -C out.git log --format=%H") ==
        folder.output("git -C shallow.git log --format=%H"));
  CHECK(folder.output("git -C out.git symbolic-ref refs/remotes/o/HEAD") == "refs/heads/main\n");
  CHECK(folder.output("git -C none.git for-each-ref") == "");
}

TEST_CASE("compact and export_bare pause for every unit", "[git_mem][compact]") {
  const temp_folder folder, repo;
  fill_randomly(repo, 37, 30);
  object_store store;
  fill_from(store, repo, {"--revs --all </dev/null", "--revs --all </dev/null"});
  fermata::loop_options always;
  always.when = fermata::policy::always();
  fermata::event_loop loop(std::move(always));
  const std::uint64_t objects = store.current()->packs[0]->object_count();
  const std::uint64_t refs = store.current()->refs.size();
  loop.run([&]() -> promise<> {
    std::uint64_t before = loop.metrics().looks;
    promise<> exported = export_bare(store, (folder.path() / "out").string());
    co_await exported;
    CHECK(loop.metrics().looks >= before + objects + 2 * refs);
    before = loop.metrics().looks;
    promise<compact_report> compacting = compact(store);
    co_await compacting;
    CHECK(loop.metrics().looks >= before + objects + 2 * refs);
  });
}
