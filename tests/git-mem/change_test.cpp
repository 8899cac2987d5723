// SPDX-License-Identifier: MIT
#include "support/git_snapshot.hpp"
#include "support/policy.hpp"

#include <fermata/git_mem/change.hpp>
#include <fermata/git_mem/git_view.hpp>
#include <fermata/git_mem/protocol.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>
#include <git2.h>

#include <random>
#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::bytes_of;
using fermata::promise;
using fermata::test_loop;

namespace {

signature person(int zone = 130) {
  return {"A B", "a@b", std::chrono::sys_seconds(std::chrono::seconds(1'700'000'000)), zone};
}

commit commit_of(const object_id& tree, std::vector<object_id> parents = {}) {
  commit c;
  c.tree = tree;
  c.parents = std::move(parents);
  c.author = person();
  c.committer = person(-30);
  c.message = "a message\n";
  return c;
}

// A blob in a folder in a commit on main, published; gives the commit.
promise<object_id> add_first(object_store& store) {
  change c(store);
  promise<object_id> blob_added = c.add_blob(bytes_of("a file"));
  const object_id blob = co_await blob_added;
  std::vector<tree_item> inner, outer;
  inner.push_back({file_mode::executable, "b", blob});
  promise<object_id> inner_added = c.add_tree(inner);
  const object_id folder = co_await inner_added;
  outer.push_back({file_mode::tree, "a", folder});
  outer.push_back({file_mode::file, "a.b", blob});
  outer.push_back({file_mode::file, "a0", blob});
  promise<object_id> outer_added = c.add_tree(outer);
  const object_id tree = co_await outer_added;
  promise<object_id> committed = c.add_commit(commit_of(tree));
  const object_id id = co_await committed;
  c.set_ref("refs/heads/main", id, object_id());
  c.set_symbolic_ref("HEAD", "refs/heads/main");
  promise<> published = c.publish();
  co_await published;
  co_return id;
}

// What a promise rejects with.
template <typename T>
promise<std::string> error_of(promise<T> p) {
  try {
    co_await p;
  } catch (const failure& f) {
    co_return f.what();
  }
  co_return "";
}

template <typename Start>
void run(Start start) {
  test_loop loop(fermata::testing::options_of_run());
  loop.run(start);
}

// A bare repository of git with these packs and refs.
void give_to_git(const temp_folder& folder, const snapshot& s) {
  folder.run("git init -q --bare -b main .");
  int n = 0;
  for (auto p = s.packs.rbegin(); p != s.packs.rend(); ++p) {
    const auto bytes = (*p)->bytes();
    const std::string name = "pack" + std::to_string(n++);
    folder.write(name, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    folder.run("git index-pack --strict --stdin < " + name + " > out 2>&1 || { cat out; false; }");
  }
  for (const reference& r : s.refs) {
    if (r.symbolic_target.empty()) folder.run("git update-ref " + r.name + " " + r.id.hex());
  }
}

}  // namespace

TEST_CASE("a change is read back, by us, libgit2 and git", "[git_mem][change]") {
  object_store store;
  object_id head;
  run([&]() -> promise<> {
    promise<object_id> added = add_first(store);
    head = co_await added;
    const snapshot_ptr s = store.current();
    CHECK(s->find_ref("HEAD")->id == head);
    promise<std::optional<path_finder::place>> finding = find_path(s, head, "a/b");
    const std::optional<path_finder::place> place = co_await finding;
    REQUIRE(place);
    CHECK(read_object(s, place->id).text() == "a file");
    const commit c = read_commit(s, head);
    CHECK(c.author.zone == 130);
    CHECK(c.committer.zone == -30);
  });
  const git_view view(store.current());
  git_oid id;
  git_oid_fromraw(&id, head.data());
  git_commit* found = nullptr;
  REQUIRE(git_commit_lookup(&found, view.repository(), &id) == 0);
  CHECK(std::string(git_commit_message(found)) == "a message\n");
  git_commit_free(found);
  const temp_folder folder;
  give_to_git(folder, *store.current());
  folder.run("git fsck --full --strict");
  CHECK(folder.output("git rev-parse HEAD") == head.hex() + "\n");
  CHECK(folder.output("git cat-file -p HEAD:a/b") == "a file");
  CHECK(folder.output("git log --format='%an %ae %ad %cd %s' --date=raw") ==
        "A B a@b 1700000000 +0130 1700000000 -0030 a message\n");
  CHECK(folder.output("git ls-tree -r --name-only HEAD") == "a.b\na/b\na0\n");
}

TEST_CASE("a tag, odd headers and large content are written as git writes them",
          "[git_mem][change]") {
  object_store store;
  std::mt19937 random(7);
  std::string large(1'000'000, '\0');
  for (char& c : large) c = static_cast<char>(random() % 7);
  object_id signed_commit;
  run([&]() -> promise<> {
    promise<object_id> first = add_first(store);
    const object_id head = co_await first;
    change c(store);
    promise<object_id> blob_added = c.add_blob(bytes_of(large));
    const object_id blob = co_await blob_added;
    promise<object_id> again = c.add_blob(bytes_of(large));
    const auto again_got = co_await again;
    CHECK(again_got == blob);
    promise<object_id> empty_added = c.add_blob(bytes_of(""));
    const object_id empty = co_await empty_added;
    std::vector<tree_item> items;
    items.push_back({file_mode::file, "large", blob});
    items.push_back({file_mode::symlink, "link", empty});
    items.push_back({file_mode::submodule, "sub", blob_id("elsewhere")});
    promise<object_id> tree_added = c.add_tree(items);
    const object_id tree = co_await tree_added;
    commit next = commit_of(tree, {head});
    next.encoding = "ISO-8859-1";
    next.other_headers.emplace_back("gpgsig", "-----BEGIN\n\nlast");
    promise<object_id> committed = c.add_commit(next);
    signed_commit = co_await committed;
    tag t;
    t.target = signed_commit;
    t.target_type = object_type::commit;
    t.name = "v1";
    t.tagger = person();
    t.has_tagger = true;
    t.message = "the tag\n";
    promise<object_id> tagged = c.add_tag(t);
    const object_id tag_id = co_await tagged;
    c.set_ref("refs/tags/v1", tag_id);
    c.set_ref("HEAD", signed_commit, head);
    promise<> published = c.publish();
    co_await published;
    const commit back = read_commit(store.current(), signed_commit);
    CHECK(back.other_headers == next.other_headers);
    CHECK(back.encoding == next.encoding);
  });
  const snapshot_ptr s = store.current();
  CHECK(s->packs.size() == 2);
  CHECK(s->packs[0]->object_count() == 5);
  CHECK(s->find_ref("refs/heads/main")->id == signed_commit);
  CHECK(s->find_ref("HEAD")->id == signed_commit);
  const temp_folder folder;
  give_to_git(folder, *s);
  folder.run("git fsck --full --strict");
  folder.write("large", large);
  CHECK(folder.output("git rev-parse HEAD:large") == folder.output("git hash-object large"));
  CHECK(folder.output("git cat-file -p v1^{} | sed -n 's/^ /+/;6,9p'") ==
        "gpgsig -----BEGIN\n+\n+last\n\n");
}

TEST_CASE("refs are changed only from where they are expected", "[git_mem][change]") {
  object_store store;
  run([&]() -> promise<> {
    promise<object_id> first = add_first(store);
    const object_id head = co_await first;
    const snapshot_ptr before = store.current();
    const auto attempt = [&](auto words) {
      auto c = std::make_unique<change>(store);
      words(*c);
      promise<> published = c->publish();
      return error_of(std::move(published)).finalize([kept = std::move(c)] {
        return fermata::ready();
      });
    };
    const object_id nowhere = blob_id("nowhere");
    promise<std::string> e1 = attempt([&](change& c) { c.set_ref("HEAD", head, nowhere); });
    const auto e1_got = co_await e1;
    CHECK(e1_got == "ref refs/heads/main: it stands at " + head.hex());
    promise<std::string> e2 =
        attempt([&](change& c) { c.set_ref("refs/heads/main", head, object_id()); });
    const auto e2_got = co_await e2;
    CHECK(e2_got == "ref refs/heads/main: it is there already");
    promise<std::string> e3 = attempt([&](change& c) { c.set_ref("refs/heads/b", head, head); });
    const auto e3_got = co_await e3;
    CHECK(e3_got == "ref refs/heads/b: it is not there");
    promise<std::string> e4 = attempt([&](change& c) { c.set_ref("refs/heads/main/x", head); });
    const auto e4_got = co_await e4;
    CHECK(e4_got == "ref refs/heads/main/x: refs/heads/main is there");
    promise<std::string> e5 = attempt([&](change& c) { c.set_ref("refs/heads", head); });
    const auto e5_got = co_await e5;
    CHECK(e5_got == "ref refs/heads: refs/heads/main is there");
    promise<std::string> e6 = attempt([&](change& c) { c.set_ref("refs/heads/b", nowhere); });
    const auto e6_got = co_await e6;
    CHECK(e6_got == "ref refs/heads/b: object " + nowhere.hex() + " is not in the store");
    promise<std::string> e7 =
        attempt([&](change& c) { c.set_ref("refs/heads/b", blob_id("a file")); });
    const auto e7_got = co_await e7;
    CHECK(e7_got ==
          "ref refs/heads/b: object " + blob_id("a file").hex() + " is a blob, no commit");
    promise<std::string> e8 = attempt([&](change& c) { c.set_symbolic_ref("HEAD", "HEAD"); });
    const auto e8_got = co_await e8;
    CHECK(e8_got == "ref HEAD: it stands for itself");
    CHECK(store.current() == before);

    promise<std::string> moved = attempt([&](change& c) {
      c.delete_ref("refs/heads/main", head);
      c.set_ref("refs/heads/main/x", head, object_id());
      c.set_ref("refs/tags/blob", blob_id("a file"));
    });
    const auto moved_got = co_await moved;
    CHECK(moved_got == "");
    CHECK(store.current()->find_ref("refs/heads/main") == nullptr);
    CHECK(store.current()->find_ref("refs/heads/main/x")->id == head);
    CHECK(store.current()->find_ref("HEAD")->id.is_zero());
    CHECK(before->find_ref("refs/heads/main")->id == head);
  });
}

TEST_CASE("two changes at once: the slower one is told", "[git_mem][change]") {
  object_store store;
  run([&]() -> promise<> {
    promise<object_id> first = add_first(store);
    const object_id head = co_await first;
    const object_id tree = read_commit(store.current(), head).tree;
    change a(store), b(store);
    commit one = commit_of(tree, {head});
    promise<object_id> a_added = a.add_commit(one);
    const object_id a_id = co_await a_added;
    one.message = "another\n";
    promise<object_id> b_added = b.add_commit(one);
    const object_id b_id = co_await b_added;
    a.set_ref("refs/heads/main", a_id, head);
    b.set_ref("refs/heads/main", b_id, head);
    promise<> a_published = a.publish();
    promise<> b_published = b.publish();
    promise<std::string> a_error = error_of(a_published);
    promise<std::string> b_error = error_of(b_published);
    const auto a_error_got = co_await a_error;
    CHECK(a_error_got == "");
    const auto b_error_got = co_await b_error;
    CHECK(b_error_got == "ref refs/heads/main: it stands at " + a_id.hex());
    CHECK_FALSE(store.current()->find_object(b_id));
    b.set_ref("refs/heads/other", b_id, object_id());
    b.set_ref("refs/heads/main", a_id, a_id);
    promise<> tried_again = b.publish();
    co_await tried_again;
    CHECK(store.current()->find_ref("refs/heads/other")->id == b_id);
    CHECK(store.current()->find_object(a_id).has_value());
  });
}

TEST_CASE("what is not whole or well formed is not added", "[git_mem][change]") {
  object_store store;
  run([&]() -> promise<> {
    promise<object_id> first = add_first(store);
    const object_id head = co_await first;
    const snapshot_ptr before = store.current();
    const object_id tree = read_commit(before, head).tree;
    pack_limits limits;
    limits.object_bytes = 1000;
    change c(store, limits);
    const auto tree_error = [&c](const std::string& name, const object_id& id, file_mode mode) {
      std::vector<tree_item> items;
      items.push_back({mode, name, id});
      return error_of(c.add_tree(items));
    };
    const object_id file = blob_id("a file");
    promise<std::string> e1 = tree_error("..", file, file_mode::file);
    const auto e1_got = co_await e1;
    CHECK_THAT(e1_got, Catch::EndsWith("tree byte 0: the name \"..\" is not allowed"));
    promise<std::string> e2 = tree_error("a", blob_id("no"), file_mode::file);
    const auto e2_got = co_await e2;
    CHECK_THAT(e2_got, Catch::EndsWith("blob " + blob_id("no").hex() + " is not in the store"));
    promise<std::string> e3 = tree_error("a", file, file_mode::tree);
    const auto e3_got = co_await e3;
    CHECK_THAT(e3_got, Catch::EndsWith("object " + file.hex() + " is a blob, no tree"));
    std::vector<tree_item> twice(2, tree_item{file_mode::file, "a", file});
    promise<std::string> e4 = error_of(c.add_tree(twice));
    const auto e4_got = co_await e4;
    CHECK_THAT(e4_got, Catch::EndsWith("tree byte 29: \"a\" is out of order"));
    commit odd = commit_of(tree);
    odd.author.name = "x <y";
    promise<std::string> e5 = error_of(c.add_commit(odd));
    const auto e5_got = co_await e5;
    CHECK(e5_got == "author has a < or > in it");
    odd = commit_of(tree);
    odd.committer.email = "a\nb";
    promise<std::string> e6 = error_of(c.add_commit(odd));
    const auto e6_got = co_await e6;
    CHECK(e6_got == "committer has a line feed or a NUL in it");
    promise<std::string> e7 = error_of(c.add_commit(commit_of(file)));
    const auto e7_got = co_await e7;
    CHECK_THAT(e7_got, Catch::EndsWith("object " + file.hex() + " is a blob, no tree"));
    promise<std::string> e8 = error_of(c.add_commit(commit_of(tree, {tree})));
    const auto e8_got = co_await e8;
    CHECK_THAT(e8_got, Catch::EndsWith("object " + tree.hex() + " is a tree, no commit"));
    promise<std::string> e9 = error_of(c.add_object(object_type::commit, bytes_of("x")));
    const auto e9_got = co_await e9;
    CHECK_THAT(e9_got, Catch::EndsWith("it has no tree"));
    const std::string large(1001, 'x');
    promise<std::string> e10 = error_of(c.add_blob(bytes_of(large)));
    const auto e10_got = co_await e10;
    CHECK(e10_got == "object of 1001 bytes, the limit is 1000");
    CHECK_THROWS_WITH(c.set_ref("refs/heads/a..b", head),
                      "\"refs/heads/a..b\" is no name for a ref");
    promise<> published = c.publish();
    co_await published;
    CHECK(store.current()->packs.size() == before->packs.size());
  });
}

TEST_CASE("is_ref_name agrees with git check-ref-format", "[git_mem][change]") {
  std::mt19937 random(11);
  const std::string letters = "ab./@{-~^:?*[\\ \x7f\x01\xc3lock";
  std::string names;
  std::vector<std::string> all = {"refs/heads/a.lock", "refs/heads/a.lock/b", "refs/heads/.a",
                                  "refs/heads/a.",     "refs/heads/@",        "refs/heads/a//b",
                                  "refs/heads/a@{b",   "refs/heads/"};
  for (int i = 0; i < 150; ++i) {
    std::string name = "refs/heads/";
    for (unsigned n = random() % 6; n > 0; --n) name += letters[random() % letters.size()];
    all.push_back(name);
  }
  for (const std::string& n : all) names += n + std::string(1, '\0');
  const temp_folder folder;
  folder.write("names", names);
  const std::vector<std::string> git = lines_of(folder.output(
      "xargs -0 -a names -I{} sh -c 'git check-ref-format \"$1\" && echo yes || echo no' sh {}"));
  REQUIRE(git.size() == all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    INFO(all[i]);
    CHECK(is_ref_name(all[i]) == (git[i] == "yes"));
  }
}

TEST_CASE("a change pauses for every unit, and a cancelled one leaves the store",
          "[git_mem][change]") {
  object_store store;
  fermata::loop_options always;
  always.when = fermata::policy::always();
  test_loop loop(std::move(always));
  loop.run([&]() -> promise<> {
    promise<object_id> first = add_first(store);
    const object_id head = co_await first;
    const snapshot_ptr before = store.current();
    const std::string large(640 * 1024, 'x');
    std::uint64_t looks = loop.metrics().looks;
    change c(store);
    promise<object_id> added = c.add_blob(bytes_of(large));
    co_await added;
    CHECK(loop.metrics().looks >= looks + 40 + 80);  // named in 16 KiB, deflated in 8
    std::vector<tree_item> items;
    for (int i = 0; i < 2000; ++i) {
      items.push_back({file_mode::file, "f" + std::to_string(i), blob_id("a file")});
    }
    looks = loop.metrics().looks;
    promise<object_id> tree_added = c.add_tree(items);
    co_await tree_added;
    CHECK(loop.metrics().looks >= looks + 7 + 5 + 9);
    for (int i = 0; i < 640; ++i) c.set_ref("refs/tags/t" + std::to_string(i), head);
    promise<> published = c.publish();
    co_await published;
    looks = loop.metrics().looks;
    change other(store);
    other.set_ref("refs/tags/one", head);
    promise<> other_published = other.publish();
    co_await other_published;
    CHECK(loop.metrics().looks >= looks + 640);
    const snapshot_ptr after = store.current();
    change given_up(store);
    promise<object_id> cut = given_up.add_blob(bytes_of(large + "y"));
    cancel(cut);
    bool was_cancelled = false;
    try {
      co_await cut;
    } catch (const fermata::cancelled&) {
      was_cancelled = true;
    }
    CHECK(was_cancelled);
    CHECK(store.current() == after);
    CHECK_FALSE(before->find_ref("refs/tags/t0"));
  });
}
