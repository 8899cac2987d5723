// SPDX-License-Identifier: MIT
#include "support/pack_builder.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/git_view.hpp>
#include <fermata/git_mem/object_reader.hpp>
#include <fermata/git_mem/object_store.hpp>
#include <fermata/git_mem/tree.hpp>

#include <catch2/catch.hpp>
#include <git2.h>

#include <sstream>
#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using builder = pack_builder;

namespace {

snapshot_ptr whole_repository(const temp_folder& repo) {
  return snapshot_of(analyse(repo.output("git pack-objects --all --stdout -q </dev/null")).pack);
}

object_id rev(const temp_folder& repo, const std::string& name) {
  return *object_id::from_hex(repo.output("git rev-parse '" + name + "'").substr(0, 40));
}

struct walked {
  std::vector<std::string> lines;
  std::string error;
};

walked walk(const snapshot_ptr& from, const object_id& root, std::string_view path = {}) {
  tree_walk w(from, root, path);
  walked out;
  for (;;) {
    const tree_walk::result r = w.step(std::chrono::nanoseconds(1));
    if (r.found != nullptr) {
      std::ostringstream mode;
      mode << std::oct << static_cast<unsigned>(r.found->mode);
      out.lines.push_back(mode.str() + " " + r.found->id.hex() + " " +
                          std::to_string(r.found->size_bytes) + " " + r.found->path);
    }
    if (r.state == step_state::error) out.error = w.error().what();
    if (r.state != step_state::more) return out;
  }
}

std::string tree_line(std::string_view mode, std::string_view name, const object_id& id) {
  return std::string(mode) + " " + std::string(name) + std::string(1, '\0') +
         std::string(reinterpret_cast<const char*>(id.data()), 20);
}

object_id tree_id(std::string_view content) {
  return name_object(object_type::tree, as_bytes(content));
}

// A tree with these contents, beside the blob "x".
walked walk_tree(const std::string& content) {
  builder b;
  b.object(builder::blob, "x");
  b.object(builder::tree, content);
  return walk(snapshot_of(analyse(b.finish()).pack), tree_id(content));
}

}  // namespace

TEST_CASE("object_store publishes whole snapshots and frees what nobody reads",
          "[git_mem][store]") {
  object_store store;
  CHECK(store.current()->object_count() == 0);
  builder b;
  b.object(builder::blob, "hello");
  snapshot next;
  next.packs.push_back(store.adopt(analyse(b.finish()).pack));
  next.refs = {{"refs/heads/b", {}, {}}, {"HEAD", {}, "refs/heads/b"}};
  next.shallow = {blob_id("b"), blob_id("a"), blob_id("b")};
  store.publish(std::move(next));
  const snapshot_ptr held = store.current();
  CHECK(held->find_object(blob_id("hello"))->size_bytes == 5);
  CHECK_FALSE(held->find_object(blob_id("other")));
  CHECK(held->find_ref("HEAD")->symbolic_target == "refs/heads/b");
  CHECK(held->find_ref("refs/heads") == nullptr);
  CHECK(held->shallow.size() == 2);
  CHECK(held->is_shallow(blob_id("a")));
  CHECK_FALSE(held->is_shallow(blob_id("c")));

  store.publish(snapshot());
  CHECK(store.current()->object_count() == 0);
  CHECK(read_object(held, blob_id("hello")).text() == "hello");
  while (store.reclaim_step()) {
  }
  CHECK(read_object(held, blob_id("hello")).text() == "hello");
}

TEST_CASE("a snapshot may outlive its store", "[git_mem][store]") {
  snapshot_ptr held;
  {
    object_store store;
    builder b;
    b.object(builder::blob, "hello");
    snapshot next;
    next.packs.push_back(store.adopt(analyse(b.finish()).pack));
    store.publish(std::move(next));
    held = store.current();
  }
  CHECK(read_object(held, blob_id("hello")).text() == "hello");
}

TEST_CASE("object_reader says what is missing or too large", "[git_mem][store]") {
  builder b;
  b.object(builder::blob, std::string(70'000, 'x'));
  const snapshot_ptr s = snapshot_of(analyse(b.finish()).pack);
  const object_id id = blob_id(std::string(70'000, 'x'));
  CHECK_THROWS_WITH(read_object(s, blob_id("no")),
                    "object " + blob_id("no").hex() + ": not in the store");
  CHECK_THROWS_WITH(read_object(s, id),
                    "object " + id.hex() + ": 70000 bytes, the limit here is 65536");
  object_reader reader(s, id);
  int steps = 0;
  while (reader.step(std::chrono::nanoseconds(1)).state == step_state::more) ++steps;
  CHECK(steps > 4);
  CHECK(reader.take().content.size() == 70'000);
}

TEST_CASE("tree_walk gives what git ls-tree gives, from any directory", "[git_mem][tree]") {
  const temp_folder repo;
  repo.run("git init -q .");
  for (const char* name : {"a.b", "a/one", "a/two/deep", "a-b", "a0", "z", "packages/p/p.1/opam"}) {
    repo.write(name, std::string("content of ") + name);
  }
  repo.run("ln -s a.b link && chmod +x z && git add -A && git commit -qm 'the message'");
  const snapshot_ptr s = whole_repository(repo);
  const object_id head = rev(repo, "HEAD");
  for (const std::string path : {"", "a", "packages/p", "/packages/", "a/two"}) {
    const std::string spec = "HEAD:" + path.substr(path.starts_with('/') ? 1 : 0);
    std::istringstream lines(repo.output("git ls-tree -r -l '" + spec + "'"));
    std::vector<std::string> expected;
    std::string mode, type, id, size, name;
    while (lines >> mode >> type >> id >> size >> name) {
      expected.push_back(mode + " " + id + " " + size + " " + name);
    }
    INFO(path);
    CHECK(!expected.empty());
    CHECK(walk(s, head, path).lines == expected);
  }
  CHECK(walk(s, head, "nowhere").error == "path \"nowhere\": not in the tree");
  CHECK(walk(s, head, "z").error == "path \"z\": it is no directory");
  CHECK(walk(s, head, "z/deeper").error == "path \"z/deeper\": not in the tree");
}

TEST_CASE("path_finder finds files, directories and nothing", "[git_mem][tree]") {
  const temp_folder repo;
  repo.run("git init -q .");
  repo.write("a/b/c", "here");
  repo.run("git add -A && git commit -qm m");
  const snapshot_ptr s = whole_repository(repo);
  const auto find = [&](std::string_view path) {
    path_finder f(s, rev(repo, "HEAD"), path);
    while (f.step(std::chrono::nanoseconds(1)).state == step_state::more) {
    }
    return f.found();
  };
  CHECK(find("a/b/c")->id == blob_id("here"));
  CHECK(find("a/b")->mode == file_mode::tree);
  CHECK(find("")->id == rev(repo, "HEAD^{tree}"));
  CHECK_FALSE(find("a/x"));
}

TEST_CASE("read_commit gives tree, parents, people and message", "[git_mem][tree]") {
  const temp_folder repo;
  repo.run(
      "git init -q . && git commit -q --allow-empty -m one && git commit -q --allow-empty -m two");
  const snapshot_ptr s = whole_repository(repo);
  const commit c = read_commit(s, rev(repo, "HEAD"));
  CHECK(c.tree == rev(repo, "HEAD^{tree}"));
  REQUIRE(c.parents.size() == 1);
  CHECK(c.parents[0] == rev(repo, "HEAD~"));
  CHECK(c.message == "two\n");
  CHECK(c.author.name == "a");
  CHECK(c.committer.email == "a@b");
  CHECK(c.committer.when.time_since_epoch().count() == 1'700'000'000);
  CHECK_THROWS_WITH(read_commit(s, c.tree), "commit " + c.tree.hex() + ": it is a tree");
}

TEST_CASE("libgit2 reads commits and trees through git_view", "[git_mem][tree]") {
  const temp_folder repo;
  repo.run("git init -q .");
  repo.write("a/b", "content");
  repo.write("large", std::string(70'000, 'x'));
  repo.run("git add -A && git commit -qm m");
  const git_view view(whole_repository(repo));
  git_oid id;
  git_oid_fromraw(&id, rev(repo, "HEAD").data());
  git_commit* head = nullptr;
  REQUIRE(git_commit_lookup(&head, view.repository(), &id) == 0);
  git_tree* tree = nullptr;
  REQUIRE(git_commit_tree(&tree, head) == 0);
  git_tree_entry* entry = nullptr;
  CHECK(git_tree_entry_bypath(&entry, tree, "a/b") == 0);
  CHECK(object_id::from_bytes(git_tree_entry_id(entry)->id) == blob_id("content"));
  git_blob* blob = nullptr;
  CHECK(git_blob_lookup(&blob, view.repository(), git_tree_entry_id(entry)) == 0);
  git_oid large;
  git_oid_fromraw(&large, blob_id(std::string(70'000, 'x')).data());
  git_blob* refused = nullptr;
  CHECK(git_blob_lookup(&refused, view.repository(), &large) < 0);
  git_blob_free(blob);
  git_tree_entry_free(entry);
  git_tree_free(tree);
  git_commit_free(head);
}

TEST_CASE("names that must never reach a file are refused with their place", "[git_mem][tree]") {
  const object_id x = blob_id("x");
  for (const std::string name : {"..", ".", ".git", ".GIT", "a/b", ""}) {
    const std::string tree = tree_line("100644", name, x);
    CHECK(walk_tree(tree).error == "tree " + tree_id(tree).hex() + ": tree byte 0: the name \"" +
                                       name + "\" is not allowed");
  }
  const std::string inner = tree_line("100644", "..", x);
  builder b;
  b.object(builder::blob, "x");
  b.object(builder::tree, inner);
  const std::string outer = tree_line("40000", "packages", tree_id(inner));
  b.object(builder::tree, outer);
  CHECK(walk(snapshot_of(analyse(b.finish()).pack), tree_id(outer)).error ==
        "directory \"packages/\": tree " + tree_id(inner).hex() +
            ": tree byte 0: the name \"..\" is not allowed");
}

TEST_CASE("damaged trees are refused", "[git_mem][tree]") {
  const object_id x = blob_id("x");
  const std::string good = tree_line("100644", "a", x);
  CHECK(walk_tree(good).lines.size() == 1);
  const auto check = [](const std::string& tree, const std::string& why) {
    CHECK(walk_tree(tree).error == "tree " + tree_id(tree).hex() + ": tree byte " + why);
  };
  check(good.substr(0, good.size() - 1), "0: it ends inside an entry");
  check("100644 name", "0: it ends inside an entry");
  check(tree_line("100844", "a", x), "0: its mode is no octal number");
  check(tree_line("20644", "a", x), "0: mode 20644 is none of git's");
  check(tree_line("644", "a", x), "0: mode 644 is none of git's");
  check(good + good, "29: \"a\" is out of order");
  check(tree_line("100644", "b", x) + good, "29: \"a\" is out of order");
  CHECK(walk_tree(tree_line("40000", "a", x)).error ==
        "directory \"a/\": object " + x.hex() + ": it is a blob, no tree");
  CHECK(walk_tree(tree_line("100644", "a", blob_id("gone"))).error ==
        "path \"a\": object " + blob_id("gone").hex() + " is not in the store");
}
