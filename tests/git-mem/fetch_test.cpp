// SPDX-License-Identifier: MIT
// Fetches from a real `git upload-pack` into a store that has something already.

#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/fetch.hpp>
#include <fermata/git_mem/log.hpp>
#include <fermata/git_mem/object_reader.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/loop/event_loop.hpp>

#include <catch2/catch.hpp>

#include <filesystem>
#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;

namespace {

struct upstream {
  upstream() {
    repo.run("git init -q -b main .");
    for (int i = 0; i < 4; ++i) commit(i);
  }
  void commit(int i) const {
    std::string text;
    for (int line = 0; line < 200; ++line) text += std::to_string(line * line) + "\n";
    repo.write("packages/p" + std::to_string(i) + "/opam", text + std::to_string(i));
    repo.write("same", text);
    repo.run("git add -A && git commit -qm c" + std::to_string(i));
  }
  [[nodiscard]] std::string rev(const std::string& name) const {
    return repo.output("git rev-parse '" + name + "'").substr(0, 40);
  }
  temp_folder repo;
};

struct mirror {
  fetch_result fetch_from(const upstream& u, std::uint32_t depth, const std::string& branch = "") {
    clone_options options;
    options.depth = depth;
    const std::string url = u.repo.path().string() + branch;
    return loop.run([&] { return fetch(store, url, options); });
  }
  // All files of a commit, with their contents.
  std::string text_of(const object_id& commit) {
    std::string all;
    loop.run([&] {
      return walk_files(store.current(), commit, "", [&](const tree_walk::entry& e) -> promise<> {
        const std::string path = e.path;
        promise<object> reading = get_object(store.current(), e.id);
        const object file = co_await std::move(reading);
        all += path + "\n" + std::string(file.text());
      });
    });
    return all;
  }
  fermata::event_loop loop{fermata::testing::options_of_run()};
  object_store store;
};

std::string text_of(const upstream& u, const std::string& commit) {
  return u.repo.output("for f in $(git ls-tree -r --name-only " + commit +
                       "); do echo $f; git cat-file blob " + commit + ":$f; done");
}

}  // namespace

TEST_CASE("a fetch receives what is new, at every depth", "[git_mem][fetch]") {
  const upstream u;
  const std::uint32_t depth = GENERATE(1U, 2U, 0U);
  INFO(depth);
  mirror m;
  const fetch_result first = m.fetch_from(u, depth);
  CHECK(first.has_new);
  CHECK(first.ref == "refs/heads/main");
  CHECK(first.tip.hex() == u.rev("main"));

  const fetch_result nothing = m.fetch_from(u, depth);
  CHECK_FALSE(nothing.has_new);
  CHECK(nothing.tip == first.tip);
  CHECK(m.store.current()->packs.size() == 1);

  u.commit(7);
  u.commit(8);
  const fetch_result more = m.fetch_from(u, depth);
  CHECK(more.has_new);
  CHECK(more.tip.hex() == u.rev("main"));
  // Commits, their trees, two files; nothing of what was there. With a depth upstream may send
  // what a commit that it counts as cut off has.
  CHECK(more.progress.objects_total <= 2 + 2 * 3 + 2);
  CHECK(m.store.current()->packs.size() == 2);
  CHECK(m.text_of(more.tip) == text_of(u, "main"));
  CHECK(m.text_of(first.tip) == text_of(u, "main~2"));
  REQUIRE(m.store.current()->find_ref("refs/heads/main") != nullptr);
  CHECK(m.store.current()->find_ref("refs/heads/main")->id == more.tip);
  if (depth == 0) CHECK(m.store.current()->shallow.empty());
}

TEST_CASE("a fetch follows a branch that was moved back or made anew", "[git_mem][fetch]") {
  const upstream u;
  mirror m;
  m.fetch_from(u, 0);
  u.repo.run("git reset -q --hard HEAD~2");
  const fetch_result back = m.fetch_from(u, 0);
  CHECK_FALSE(back.has_new);
  CHECK(back.tip.hex() == u.rev("main"));
  u.repo.run("git checkout -q --orphan other && git commit -qm other && git branch -qf main");
  const fetch_result other = m.fetch_from(u, 0, "#main");
  CHECK(other.has_new);
  CHECK(m.text_of(other.tip) == text_of(u, "main"));
}

TEST_CASE("a fetch that fails leaves the store as it was", "[git_mem][fetch]") {
  const upstream u;
  mirror m;
  m.fetch_from(u, 1);
  const snapshot_ptr before = m.store.current();
  CHECK_THROWS_WITH(
      m.fetch_from(u, 1, "#absent"),
      "cannot fetch " + u.repo.path().string() + ": branch \"absent\" is not in the repository");
  u.repo.run("mv .git away");
  CHECK_THROWS_WITH(m.fetch_from(u, 1),
                    Catch::Matchers::StartsWith("cannot fetch " + u.repo.path().string() + ": "));
  CHECK(m.store.current() == before);
}

TEST_CASE("a fetch that would list too much leaves the store as it was", "[git_mem][fetch]") {
  const upstream u;
  mirror m;
  m.fetch_from(u, 1);
  const snapshot_ptr before = m.store.current();
  u.commit(4);
  clone_options options;
  options.most_change_bytes = 100;
  const std::string url = u.repo.path().string();
  CHECK_THROWS_WITH(
      m.loop.run([&] { return fetch(m.store, url, options); }),
      "cannot fetch " + url + ": the list of changed files takes more than 100 bytes");
  CHECK(m.store.current() == before);
  CHECK(m.fetch_from(u, 1).changes.size() == 1);
}

TEST_CASE("a fetch tells what has changed, and how the branch moved", "[git_mem][fetch]") {
  const upstream u;
  mirror m;
  const fetch_result first = m.fetch_from(u, 0);
  CHECK(first.move == ref_move::created);
  CHECK(first.old_tip.is_zero());
  CHECK(first.changes.empty());
  CHECK(m.fetch_from(u, 0).move == ref_move::none);
  u.repo.run("git rm -q packages/p0/opam");
  u.commit(9);
  const fetch_result more = m.fetch_from(u, 0);
  CHECK(more.move == ref_move::forward);
  CHECK(more.old_tip == first.tip);
  std::string changes;
  for (const file_change& c : more.changes)
    changes += std::string(1, c.letter()) + " " + c.path + "\n";
  CHECK(changes == "D packages/p0/opam\nA packages/p9/opam\n");
  std::string refs;
  for (const ref_update& r : more.refs) {
    refs += r.name + " " + r.before.hex(4) + " " + r.after.hex(4) + "\n";
  }
  const std::string was = first.tip.hex(4), is = more.tip.hex(4);
  CHECK(refs == "HEAD " + was + " " + is + "\nrefs/heads/main " + was + " " + is + "\n");
  u.repo.run("git reset -q --hard HEAD~3");
  u.commit(10);
  const fetch_result forced = m.fetch_from(u, 0);
  CHECK(forced.move == ref_move::rewritten);
  CHECK(forced.refs.size() == 2);
}

TEST_CASE("a fetch deepens a shallow store, and completes it", "[git_mem][fetch]") {
  const upstream u;
  mirror m;
  m.fetch_from(u, 1);
  u.commit(5);
  CHECK(m.fetch_from(u, 1).move == ref_move::unknown);
  const auto commits = [&] {
    commit_log log(m.store.current(), {1, m.store.current()->find_ref("HEAD")->id});
    std::size_t n = 0;
    while (m.loop.run([&] { return log.next(); })) ++n;
    return n;
  };
  const std::size_t before = commits();
  clone_options by_one;
  by_one.depth = 1;
  by_one.deepen_relative = true;
  m.loop.run([&] { return fetch(m.store, u.repo.path().string(), by_one); });
  CHECK(commits() > before);
  const fetch_result whole = m.fetch_from(u, whole_history);
  CHECK(m.store.current()->shallow.empty());
  CHECK(commits() == 5);
  CHECK(whole.tip.hex() == u.rev("main"));
  CHECK_FALSE(m.fetch_from(u, whole_history).has_new);
}

TEST_CASE("a fetch brings other branches and tags where asked", "[git_mem][fetch]") {
  const upstream u;
  u.repo.run(
      "git checkout -q -b side HEAD~1 && git commit -q --allow-empty -m side && "
      "git tag -a -m t v1 && git checkout -q main");
  mirror m;
  m.fetch_from(u, 0);
  const object_id side = *object_id::from_hex(u.rev("side"));
  CHECK_FALSE(m.store.current()->find_object(side));
  clone_options all;
  all.depth = 0;
  all.also = {"refs/heads/", "refs/tags/"};
  CHECK(m.loop.run([&] { return fetch(m.store, u.repo.path().string(), all); }).has_new);
  CHECK(m.store.current()->find_object(side));
  REQUIRE(m.store.current()->find_ref("refs/tags/v1") != nullptr);
  CHECK(m.store.current()->find_ref("refs/tags/v1")->id.hex() == u.rev("v1"));
  CHECK(m.store.current()->find_object(m.store.current()->find_ref("refs/tags/v1")->id));
  CHECK_FALSE(m.loop.run([&] { return fetch(m.store, u.repo.path().string(), all); }).has_new);
}

TEST_CASE("a fetch makes a partial clone where the server does", "[git_mem][fetch]") {
  const upstream u;
  clone_options partial;
  partial.filter = "blob:none";
  mirror m;
  const auto fetching = [&] { return fetch(m.store, u.repo.path().string(), partial); };
  CHECK_THROWS_WITH(m.loop.run(fetching), "cannot fetch " + u.repo.path().string() +
                                              ": the server makes no partial clones (no filter)");
  u.repo.run("git config uploadpack.allowFilter true");
  const fetch_result first = m.loop.run(fetching);
  CHECK(first.progress.objects_total == 7);  // a commit and six trees
  u.commit(8);
  const fetch_result more = m.loop.run(fetching);
  CHECK(more.changes.size() == 1);
  CHECK_THROWS_WITH(m.text_of(more.tip), Catch::Contains("not in the store"));
}

TEST_CASE("a fetch negotiates in rounds where histories parted long ago", "[git_mem][fetch]") {
  const upstream u;
  // Forty commits that upstream will not know, on top of four that it does.
  u.repo.run("git branch fork && for i in $(seq 40); do git commit -q --allow-empty -m x$i; done");
  mirror m;
  m.fetch_from(u, 0);
  u.repo.run(
      "git checkout -q fork && git branch -qD main && git reflog expire --expire=now --all && "
      "git gc -q --prune=now && git checkout -q -b main");
  u.commit(6);
  const fetch_result parted = m.fetch_from(u, 0);
  CHECK(parted.move == ref_move::rewritten);
  CHECK(parted.progress.objects_total <= 5);  // one commit, three trees, one file
  CHECK(m.text_of(parted.tip) == text_of(u, "main"));
}

TEST_CASE("thirty merges of the real repository are a thin pack", "[git_mem][fetch]") {
  std::filesystem::path tar;
  if (!find_shared_data("opam-repository-recent.git.tar", tar)) return;
  upstream u;
  u.repo.run("rm -rf .git * && tar xf '" + std::filesystem::absolute(tar).string() +
             "' && mv *.git .git && git update-ref refs/heads/master old");
  mirror m;
  m.fetch_from(u, 1, "#master");
  u.repo.run("git update-ref refs/heads/master new");
  const fetch_result merged = m.fetch_from(u, 1, "#master");
  CHECK(merged.tip.hex() == u.rev("new"));
  CHECK(merged.progress.objects_total < 500);
  CHECK(merged.changes.size() == 90);
  CHECK(merged.progress.bytes_received <= 45'000);
  std::size_t files = 0;
  m.loop.run([&] {
    return walk_files(m.store.current(), merged.tip, "", [&](const tree_walk::entry&) {
      ++files;
      return fermata::ready();
    });
  });
  CHECK(files == std::stoul(u.repo.output("git ls-tree -r new | wc -l")));
}
