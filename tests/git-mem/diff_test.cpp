// SPDX-License-Identifier: MIT
// Diffs beside real git, on repositories made at random and on the real one.

#include "support/git_snapshot.hpp"
#include "support/pack_builder.hpp"
#include "support/policy.hpp"
#include "support/random_repository.hpp"

#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/diff.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <cstdio>
#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;
using fermata::test_loop;

namespace {

// As `git diff --raw -z` writes one, without the colon.
std::string raw_line(const file_change& c) {
  const auto mode = [](file_mode m) {
    char text[8];
    std::snprintf(text, sizeof text, "%06o", static_cast<unsigned>(m));
    return std::string(text);
  };
  const std::string none = "000000";
  return (c.old_id.is_zero() ? none : mode(c.old_mode)) + " " +
         (c.new_id.is_zero() ? none : mode(c.new_mode)) + " " + c.old_id.hex() + " " +
         c.new_id.hex() + " " + c.letter() + " " + c.path;
}

std::vector<std::string> diff(const snapshot_ptr& from, const object_id& a, const object_id& b) {
  test_loop loop(fermata::testing::options_of_run());
  return loop.run([&]() -> promise<std::vector<std::string>> {
    promise<std::vector<file_change>> listing = list_changes(from, a, b);
    const std::vector<file_change> changes = co_await std::move(listing);
    std::vector<std::string> lines;
    for (const file_change& c : changes) lines.push_back(raw_line(c));
    co_return lines;
  });
}

std::vector<std::string> git_diff(const temp_folder& repo,
                                  const std::string& a,
                                  const std::string& b) {
  const std::string out = repo.output("git diff --raw -z --no-abbrev --no-renames " + a + " " + b);
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < out.size();) {
    const std::size_t half = out.find('\0', at);
    const std::size_t end = out.find('\0', half + 1);
    lines.push_back(out.substr(at + 1, half - at - 1) + " " + out.substr(half + 1, end - half - 1));
    at = end + 1;
  }
  return lines;
}

object_id id_of(const temp_folder& repo, const std::string& revision) {
  return *object_id::from_hex(repo.output("git rev-parse '" + revision + "'").substr(0, 40));
}

std::string error_of(const snapshot_ptr& from, const object_id& a, const object_id& b) {
  try {
    static_cast<void>(diff(from, a, b));
  } catch (const failure& f) {
    return f.what();
  }
  return {};
}

const std::string empty_tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

}  // namespace

TEST_CASE("a diff is what git diff --raw shows", "[git_mem][diff]") {
  const temp_folder repo;
  fill_randomly(repo, GENERATE(11U, 12U, 13U), 120);
  const snapshot_ptr s = all_of(repo);
  const std::vector<std::string> some = {"main", "main~1", "main~30", "b0", "b2", "b4", "b1~3"};
  for (const std::string& a : some) {
    for (const std::string& b : some) {
      CAPTURE(a, b);
      CHECK(diff(s, id_of(repo, a), id_of(repo, b)) == git_diff(repo, a, b));
    }
  }
  CHECK(diff(s, object_id(), id_of(repo, "main")) == git_diff(repo, empty_tree, "main"));
  CHECK(diff(s, id_of(repo, "main^{tree}"), object_id()) == git_diff(repo, "main", empty_tree));
}

TEST_CASE("a diff tells kinds of files apart", "[git_mem][diff]") {
  const temp_folder repo;
  repo.run("git init -q -b main .");
  repo.write("a", "1");
  repo.write("a.c", "1");
  repo.write("d/x", "1");
  repo.write("link", "1");
  repo.write("run", "1");
  repo.run("git add . && git commit -qm 1");
  repo.run("rm -r a d link && mkdir a && echo 2 > a/in && echo 2 > d && ln -s t link");
  repo.run("chmod +x run && git add -A . && git commit -qm 2");
  const snapshot_ptr s = all_of(repo);
  CHECK(diff(s, id_of(repo, "main~1"), id_of(repo, "main")) == git_diff(repo, "main~1", "main"));
  CHECK(git_diff(repo, "main~1", "main").size() == 6);
}

// One file under as many names as nobody can list: trees that name each other sixteen times, below
// a long path.
object_id make_tree_bomb(const temp_folder& repo) {
  repo.run(R"sh(git init -q -b main . && blob=$(echo x | git hash-object -w --stdin)
    entry="100644 blob $blob"
    long=$(head -c 255 /dev/zero | tr '\0' n)
    for level in 1 2 3 4 5; do
      tree=$(for i in 1 2 3 4 5 6 7 8 9 a b c d e f g; do printf '%s\t%s\n' "$entry" $i; done |
        git mktree)
      entry="040000 tree $tree"
    done
    for level in $(seq 240); do
      tree=$(printf '040000 tree %s\t%s\n' $tree $long | git mktree)
    done
    git update-ref refs/heads/main $(git commit-tree -m bomb $tree))sh");
  return id_of(repo, "main");
}

TEST_CASE("walks and diffs end at trees that name each other", "[git_mem][diff]") {
  const temp_folder repo;
  const object_id bomb = make_tree_bomb(repo);
  const snapshot_ptr s = all_of(repo);
  const std::string too_many = "files whose paths are more than 4294967296 bytes";
  tree_diff compared(s, object_id(), bomb);
  tree_diff::result r;
  do r = compared.step();
  while (r.state == step_state::more);
  REQUIRE(r.state == step_state::error);
  CHECK_THAT(compared.error().what(), Catch::EndsWith(too_many));
  tree_walk walk(s, bomb);
  tree_walk::result w;
  do w = walk.step();
  while (w.state == step_state::more);
  REQUIRE(w.state == step_state::error);
  CHECK_THAT(walk.error().what(), Catch::EndsWith(too_many));
}

TEST_CASE("a list of changes has a bound", "[git_mem][diff]") {
  const temp_folder repo;
  const object_id bomb = make_tree_bomb(repo);
  const snapshot_ptr s = all_of(repo);
  test_loop loop(fermata::testing::options_of_run());
  const auto list = [&] { return list_changes(s, object_id(), bomb, 1'000'000); };
  CHECK_THROWS_WITH(loop.run(list), "the list of changed files takes more than 1000000 bytes");
}

TEST_CASE("a diff of what is missing, no tree or damaged says which object", "[git_mem][diff]") {
  const temp_folder repo;
  fill_randomly(repo, 14, 30);
  const snapshot_ptr s = all_of(repo);
  const object_id main = id_of(repo, "main");
  const object_id none = *object_id::from_hex("1111111111111111111111111111111111111111");
  CHECK(error_of(s, main, none) == "object " + none.hex() + ": not in the store");
  const std::string listed = repo.output("git ls-tree -r main | grep ' blob ' | cut -c13-52");
  const object_id blob = *object_id::from_hex(listed.substr(0, 40));
  CHECK(error_of(s, blob, main) ==
        "object " + blob.hex() + ": it is a blob, no commit and no tree");

  pack_builder p;
  const std::string bad = "100644 ..";
  p.object(pack_builder::tree, bad + '\0' + std::string(20, 'x'));
  auto damaged = std::make_shared<snapshot>();
  damaged->packs.push_back(analyse(p.finish()).pack);
  const object_id tree = damaged->packs[0]->entry(0).id;
  CHECK(error_of(damaged, object_id(), tree) ==
        "tree " + tree.hex() + ": tree byte 0: the name \"..\" is not allowed");
}

TEST_CASE("a diff pauses between its steps and visits", "[git_mem][diff]") {
  const temp_folder repo;
  repo.run("git init -q -b main .");
  for (int i = 0; i < 200; ++i) repo.write("d" + std::to_string(i) + "/f", std::to_string(i));
  repo.run("git add . && git commit -qm 1");
  const snapshot_ptr s = all_of(repo);
  test_loop loop(fermata::testing::options_with(fermata::policy::always()));
  loop.run([&]() -> promise<> {
    int visits = 0;
    const std::uint64_t looks = loop.metrics().looks;
    promise<> done = diff_files(s, object_id(), id_of(repo, "main"), [&](const file_change&) {
      ++visits;
      return fermata::ready();
    });
    co_await done;
    CHECK(visits == 200);
    CHECK(loop.metrics().looks >= looks + 200);
  });
}
