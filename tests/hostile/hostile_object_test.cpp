// SPDX-License-Identifier: MIT
// Trees, commits, tags and ref names made to harm who reads them. What git's fsck finds wrong and
// checkout refuses is refused by us, too: each case is shown to real git beside.

#include "support/pack_builder.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/object_reader.hpp>
#include <fermata/git_mem/protocol.hpp>
#include <fermata/git_mem/tree.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace fermata::git_mem;
using namespace fermata::test;
using namespace std::string_literals;

namespace {

std::string entry(const std::string& mode_and_name) {
  return mode_and_name + std::string(1, '\0') + std::string(20, '\x11');
}

std::string tree_error(const std::string& content) {
  tree_reader r(as_bytes(content));
  try {
    while (r.next()) {
    }
  } catch (const failure& f) {
    return f.what();
  }
  return "";
}

// What `git fsck --strict` says of such an object, which need not be complete.
bool git_finds_fault(const temp_folder& in, const std::string& type, const std::string& content) {
  in.write("object", content);
  return in.output("rm -rf r && git init -q r && cd r && git hash-object --literally -w -t " +
                   type +
                   " ../object >/dev/null && (git fsck --strict --no-dangling 2>&1 || true) | " +
                   "grep -E '^(error|warning) in " + type + "' || true") != "";
}

}  // namespace

TEST_CASE("names that would leave a work tree are refused in trees", "[hostile][tree]") {
  const temp_folder git;
  for (const std::string& name :
       {""s, "."s, ".."s, ".git"s, ".GIT"s, ".gIt"s, "git~1"s, "GIT~1"s, ".git "s, ".git."s,
        ".git . ."s, ".git::$INDEX_ALLOCATION"s, ".g\xe2\x80\x8cit"s, "\xef\xbb\xbf.git"s,
        ".git\\config"s, "x\\.git"s, "a/b"s, "/etc"s, "../x"s}) {
    INFO("name \"" << name << '"');
    const std::string tree = entry("100644 " + name);
    CHECK_THAT(tree_error(tree), Catch::StartsWith("tree byte 0: the name \"") &&
                                     Catch::EndsWith("\" is not allowed"));
    CHECK_FALSE(is_safe_name(name));
    CHECK(git_finds_fault(git, "tree", tree));
  }
  CHECK_FALSE(is_safe_name("a\0b"s));
  for (const std::string& name : {".gitignore"s, "..."s, "git"s, ".gi"s, "git~2"s, "x.git"s, " "s,
                                  "a\\b"s, "\xff\xfe"s, "-rf"s, "con"s, ".git2"s, "\xe2\x80"s}) {
    INFO("name \"" << name << '"');
    CHECK(tree_error(entry("100644 " + name)) == "");
    CHECK_FALSE(git_finds_fault(git, "tree", entry("100644 " + name)));
  }
}

TEST_CASE("malformed trees are refused with the byte", "[hostile][tree]") {
  const temp_folder git;
  const std::string a = entry("100644 a");
  struct wrong {
    std::string tree;
    std::string why;
  };
  const std::vector<wrong> cases = {
      {entry("100644 b") + a, "tree byte 29: \"a\" is out of order"},
      {a + a, "tree byte 29: \"a\" is out of order"},
      {entry("40000 a") + entry("100644 a."), "tree byte 28: \"a.\" is out of order"},
      {entry("60644 a"), "tree byte 0: mode 60644 is none of git's"},
      {entry("1777777 a"), "tree byte 0: its mode is no octal number"},
  };
  for (const wrong& w : cases) {
    CHECK(tree_error(w.tree) == w.why);
    CHECK(git_finds_fault(git, "tree", w.tree));
  }
  // What git does not even parse.
  CHECK(tree_error("100644 a") == "tree byte 0: it ends inside an entry");
  CHECK(tree_error("100644 a\0short"s) == "tree byte 0: it ends inside an entry");
  CHECK(tree_error("100644") == "tree byte 0: it ends inside an entry");
  CHECK(tree_error(entry(" a")) == "tree byte 0: its mode is no octal number");
  CHECK(tree_error(entry("10x644 a")) == "tree byte 0: its mode is no octal number");
  CHECK(tree_error(a + "\n") == "tree byte 29: its mode is no octal number");
}

TEST_CASE("commits and tags without what they must have are refused", "[hostile][commit]") {
  const object_id id = blob_id("x");
  const std::string hex(40, 'a');
  const auto commit_error = [&](const std::string& content) {
    try {
      static_cast<void>(parse_commit(id, content));
    } catch (const failure& f) {
      return std::string(f.what());
    }
    return std::string();
  };
  const std::string place = "commit " + id.hex() + ": ";
  CHECK(commit_error("") == place + "it has no tree");
  CHECK(commit_error("\n") == place + "it has no tree");
  CHECK(commit_error("parent " + hex + "\n") == place + "it has no tree");
  CHECK(commit_error("tree " + hex.substr(1) + "\n") == place + "its tree is no object name");
  CHECK(commit_error("tree " + hex + "x\n") == place + "its tree is no object name");
  CHECK(commit_error("tree " + hex + "\nparent ../../x\n") ==
        place + "its parent is no object name");
  CHECK(commit_error("tree " + hex + "\nparent" + std::string(100'000, '\n')) ==
        place + "its parent is no object name");
  // Odd, but read: nothing of it reaches a path, and git shows it.
  const commit odd = parse_commit(
      id, "tree " + hex + "\nauthor <\ncommitter >x< 99999999999999999999 +99999999\n\n\0msg"s);
  CHECK(odd.committer.when.time_since_epoch().count() == 0);
  CHECK(odd.message.size() == 4);

  const auto tag_error = [&](const std::string& content) {
    try {
      static_cast<void>(parse_tag(id, content));
    } catch (const failure& f) {
      return std::string(f.what());
    }
    return std::string();
  };
  CHECK(tag_error("") == "tag " + id.hex() + ": it has no object");
  CHECK(tag_error("object " + hex + "\ntype bomb\n") ==
        "tag " + id.hex() + ": its type is none of git's");
}

TEST_CASE("an object that is asked for as another type is refused", "[hostile][commit]") {
  pack_builder b;
  b.object(pack_builder::blob, "tree " + std::string(40, 'a') + "\n");
  analysed a = analyse(b.finish());
  REQUIRE(a.pack);
  const object_id id = a.pack->entry(0).id;
  const snapshot_ptr s = snapshot_of(std::move(a.pack));
  CHECK_THROWS_WITH(read_commit(s, id), "commit " + id.hex() + ": it is a blob");
  CHECK_THROWS_WITH(read_tag(s, id), "tag " + id.hex() + ": it is a blob");
  tree_walk walk(s, id);
  CHECK(walk.step().state == step_state::error);
}

TEST_CASE("ref names that git refuses are refused", "[hostile][refs]") {
  const temp_folder git;
  const auto git_allows = [&](const std::string& name) {
    git.write("name", name);
    return git.output("git check-ref-format \"$(cat name)\" && echo yes || true") == "yes\n";
  };
  for (const std::string& name : {"refs/heads/../../etc/passwd"s,
                                  "refs/heads/.."s,
                                  "refs/heads/a..b"s,
                                  "refs/heads/.a"s,
                                  "refs/heads/a/.b"s,
                                  "refs/heads/a."s,
                                  "refs/heads/a.lock"s,
                                  "refs/heads/a.lock/b"s,
                                  "refs/heads/"s,
                                  "refs/heads//a"s,
                                  "refs/heads/a b"s,
                                  "refs/heads/a\tb"s,
                                  "refs/heads/a~1"s,
                                  "refs/heads/a^"s,
                                  "refs/heads/a:b"s,
                                  "refs/heads/a?"s,
                                  "refs/heads/*"s,
                                  "refs/heads/[a"s,
                                  "refs/heads/a\\b"s,
                                  "refs/heads/a@{1}"s,
                                  "refs/heads/\x7f"s,
                                  "refs/heads/\x01"s,
                                  "refs/heads/a\nb"s,
                                  ""s,
                                  "/"s,
                                  "/refs/heads/a"s,
                                  "refs/"s}) {
    INFO("name \"" << name << '"');
    CHECK_FALSE(is_ref_name(name));
    CHECK_FALSE(git_allows(name));
  }
  CHECK_FALSE(is_ref_name("refs/heads/a\0b"s));
  CHECK_FALSE(is_ref_name("../HEAD"));
  CHECK_FALSE(is_ref_name("FETCH_HEAD"));  // of other places than refs/ only HEAD is taken
  CHECK_FALSE(is_ref_name("refs/heads/" + std::string(70'000, 'a')));
  for (const std::string& name :
       {"refs/heads/a"s, "refs/heads/@"s, "refs/heads/a@b"s, "refs/heads/a-.b"s, "refs/a"s,
        "refs/heads/\xc3\xa4"s, "refs/heads/-a"s, "refs/heads/a{b}"s, "refs/heads/lock"s,
        "refs/pull/1/head"s, "refs/heads/a!\"$%&'()+,;<=>]`|"s}) {
    INFO("name \"" << name << '"');
    CHECK(is_ref_name(name));
    CHECK(git_allows(name));
  }
}
