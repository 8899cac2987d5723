// SPDX-License-Identifier: MIT
// What clones and fetches make of refs and of HEAD, over protocol 2 and 0.

#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/change.hpp>
#include <fermata/git_mem/compact.hpp>
#include <fermata/git_mem/export_bare.hpp>
#include <fermata/git_mem/fetch.hpp>
#include <fermata/loop/event_loop.hpp>

#include <catch2/catch.hpp>

#include <cstdlib>
#include <string>
#include <vector>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;

namespace {

// What ssh runs is run here, with or without the protocol that was asked for.
struct upstream {
  explicit upstream(int version) {
    const std::string unset = version == 2 ? "" : "unset GIT_PROTOCOL; ";
    ::setenv("GIT_SSH_COMMAND",
             ("f() { for last; do :; done; " + unset + "eval \"$last\"; }; f").c_str(), 1);
    at.run(
        "git init -q -b main r && cd r && git commit -q --allow-empty -m 1 && git tag v1 && "
        "git checkout -q -b side && git commit -q --allow-empty -m 2 && git branch side2 && "
        "git tag -a -m t v2 && git checkout -q main && git commit -q --allow-empty -m 3");
  }
  upstream(const upstream&) = delete;
  upstream& operator=(const upstream&) = delete;
  ~upstream() { ::unsetenv("GIT_SSH_COMMAND"); }

  [[nodiscard]] object_id rev(const std::string& name) const {
    return *object_id::from_hex(at.output("git -C r rev-parse '" + name + "'").substr(0, 40));
  }
  fetch_result fetch_from(const std::string& branch = "", std::vector<std::string> also = {}) {
    clone_options options;
    options.also = std::move(also);
    return loop.run([&] { return fetch(store, url() + branch, options); });
  }
  void clone_from(const std::string& branch) {
    clone_options options;
    clone_result got = loop.run([&] { return clone(url() + branch, options); });
    store.publish(make_snapshot(store, std::move(got)));
  }
  [[nodiscard]] std::string url() const { return "ssh://h" + at.path().string() + "/r/.git"; }
  // "HEAD=refs/heads/main refs/heads/main", with ! behind what has no object.
  [[nodiscard]] std::string refs() const {
    std::string all;
    for (const reference& r : store.current()->refs) {
      all += (all.empty() ? "" : " ") + r.name;
      if (!r.symbolic_target.empty()) all += "=" + r.symbolic_target;
      if (!store.current()->find_object(r.id)) all += "!";
    }
    return all;
  }
  [[nodiscard]] object_id id_of(const std::string& name) const {
    const reference* r = store.current()->find_ref(name);
    return r == nullptr ? object_id() : r->id;
  }

  temp_folder at;
  fermata::event_loop loop{fermata::testing::options_of_run()};
  object_store store;
};

std::string names_of(const std::vector<ref_update>& all) {
  std::string names;
  for (const ref_update& u : all) names += (u.after.is_zero() ? "-" : "+") + u.name + " ";
  return names;
}

promise<> set_ref(object_store& store, std::string name, object_id to) {
  change c(store);
  c.set_ref(name, to);
  promise<> published = c.publish();
  co_await published;
}

}  // namespace

TEST_CASE("a fetch of one branch leaves the others where they are", "[git_mem][fetch][refs]") {
  upstream u(GENERATE(2, 0));
  u.fetch_from("", {"refs/tags/"});
  CHECK(u.refs() == "HEAD=refs/heads/main refs/heads/main refs/tags/v1 refs/tags/v2");
  const object_id main = u.rev("main");
  u.at.run("cd r && git commit -q --allow-empty -m 4");
  const fetch_result side = u.fetch_from("#side");
  CHECK(names_of(side.refs) == "+refs/heads/side ");
  CHECK(u.refs() ==
        "HEAD=refs/heads/main refs/heads/main refs/heads/side refs/tags/v1 refs/tags/v2");
  CHECK(u.id_of("refs/heads/main") == main);
  CHECK(u.id_of("HEAD") == main);
  CHECK(u.id_of("refs/heads/side") == u.rev("side"));
  u.at.run("cd r && git branch -qf side main");
  const fetch_result moved = u.fetch_from("#side");
  CHECK(moved.move == ref_move::unknown);  // of a depth of 1
  CHECK(names_of(moved.refs) == "+refs/heads/side ");
  CHECK(names_of(u.fetch_from().refs) == "+HEAD +refs/heads/main ");
  CHECK(u.id_of("HEAD") == u.rev("main"));
}

TEST_CASE("a fetch leaves refs of one's own", "[git_mem][fetch][refs]") {
  upstream u(GENERATE(2, 0));
  u.fetch_from();
  u.loop.run([&] { return set_ref(u.store, "refs/heads/local", u.id_of("HEAD")); });
  u.loop.run([&] { return set_ref(u.store, "refs/heads/side", u.id_of("HEAD")); });
  CHECK(u.fetch_from().refs.empty());
  u.at.run("cd r && git commit -q --allow-empty -m 4");
  CHECK(names_of(u.fetch_from().refs) == "+HEAD +refs/heads/main ");
  CHECK(u.refs() == "HEAD=refs/heads/main refs/heads/local refs/heads/main refs/heads/side");
  CHECK(u.id_of("refs/heads/side") == u.id_of("refs/heads/local"));
  // What `also` covers is as there.
  CHECK(names_of(u.fetch_from("", {"refs/heads/"}).refs) ==
        "-refs/heads/local +refs/heads/side +refs/heads/side2 ");
  u.at.run("cd r && git branch -qD side2");
  CHECK(names_of(u.fetch_from("", {"refs/heads/"}).refs) == "-refs/heads/side2 ");
  CHECK(u.id_of("refs/heads/side2").is_zero());
}

TEST_CASE("a fetch from an empty remote changes nothing", "[git_mem][fetch][refs]") {
  upstream u(GENERATE(2, 0));
  u.fetch_from("", {"refs/tags/"});
  const snapshot_ptr before = u.store.current();
  u.at.run("rm -rf r && git init -q -b main r");
  const fetch_result nothing = u.fetch_from();
  CHECK(nothing.tip.is_zero());
  CHECK(nothing.refs.empty());
  CHECK_THROWS_WITH(u.fetch_from("#side"), Catch::Contains("branch \"side\" is not in the"));
  CHECK(u.store.current() == before);
}

TEST_CASE("a ref that would be beside a folder of its name is refused", "[git_mem][fetch][refs]") {
  upstream u(GENERATE(2, 0));
  u.fetch_from("#side");
  u.at.run("cd r && git branch -q -D side && git branch -q side/new v2");
  CHECK_THROWS_WITH(u.fetch_from("#side/new"),
                    Catch::EndsWith(": ref refs/heads/side/new cannot be beside refs/heads/side, "
                                    "which the store has"));
  upstream other(2);
  other.at.run("cd r && git branch -q deep/er/ref v2");
  other.fetch_from("#deep/er/ref");
  other.at.run("cd r && git branch -q -D deep/er/ref && git branch -q deep v2");
  CHECK_THROWS_WITH(other.fetch_from("#deep"), Catch::Contains("deep cannot be beside"));
}

TEST_CASE("HEAD of a clone of one branch stands for it", "[git_mem][clone][refs]") {
  upstream u(GENERATE(2, 0));
  u.clone_from("#side");
  CHECK(u.refs() == "HEAD=refs/heads/side refs/heads/side");
  CHECK(u.id_of("HEAD") == u.rev("side"));
  const std::string made = (u.at.path() / "e.git").string();
  u.loop.run([&] { return export_bare(u.store, made); });
  CHECK(u.at.output("git -C e.git symbolic-ref HEAD; git -C e.git fsck --strict 2>&1; "
                    "git clone -q e.git w && git -C w log --format=%s -n 1") ==
        "refs/heads/side\n2\n");
  u.clone_from("#v2");  // no branch: its commit
  CHECK(u.refs() == "HEAD refs/tags/v2");
  CHECK(u.id_of("HEAD") == u.rev("v2^{commit}"));
  CHECK(u.id_of("refs/tags/v2") == u.rev("v2"));
  u.at.run("cd r && git tag -f -a -m t v2 main 2>&1");
  u.fetch_from("#v2");
  CHECK(u.id_of("HEAD") == u.rev("v2^{commit}"));
  u.at.run("cd r && git update-ref refs/other/x main");
  u.clone_from("#refs/other/x");
  CHECK(u.refs() == "HEAD refs/other/x");
}

TEST_CASE("HEAD of a clone is the remote's where what it stands for came",
          "[git_mem][clone][refs]") {
  upstream u(GENERATE(2, 0));
  u.clone_from("#main");
  CHECK(u.refs() == "HEAD=refs/heads/main refs/heads/main");
  u.at.run("cd r && git symbolic-ref HEAD refs/heads/unborn");
  u.clone_from("#main");
  CHECK(u.refs() == "HEAD=refs/heads/main refs/heads/main");
  CHECK(u.id_of("HEAD") == u.rev("main"));
  u.at.run("cd r && git update-ref refs/other/x main && git symbolic-ref HEAD refs/other/x");
  u.clone_from("");
  CHECK(u.refs() == "HEAD=refs/other/x refs/other/x");
}

TEST_CASE("a fetch brings what else was asked for where HEAD names no commit",
          "[git_mem][fetch][refs]") {
  const int version = GENERATE(2, 0);
  upstream u(version);
  u.fetch_from("", {"refs/tags/v1"});
  const object_id main = u.id_of("refs/heads/main");
  u.at.run("cd r && git symbolic-ref HEAD refs/heads/unborn && git branch -qf side2 v2");
  const fetch_result got = u.fetch_from("", {"refs/heads/side2"});
  CHECK(got.tip.is_zero());
  CHECK(got.move == ref_move::none);
  CHECK(names_of(got.refs) == "-HEAD +refs/heads/side2 ");
  CHECK(u.refs() == std::string(version == 2 ? "HEAD=refs/heads/unborn! " : "") +
                        "refs/heads/main refs/heads/side2 refs/tags/v1");
  CHECK(u.id_of("refs/heads/main") == main);
  CHECK(u.id_of("refs/heads/side2") == u.rev("side2"));
  u.fetch_from("#side", {"refs/heads/"});  // of both, what is there
  CHECK(u.refs() ==
        "HEAD=refs/heads/side refs/heads/main refs/heads/side refs/heads/side2 refs/tags/v1");
}

TEST_CASE("a branch that is rewritten again and again holds no old commit",
          "[git_mem][fetch][refs][compact]") {
  upstream u(GENERATE(2, 0));
  u.at.run("cd r && for i in $(seq 9); do git branch b$i; done");
  u.fetch_from();
  std::uint64_t objects = 0;
  for (int i = 0; i < 6; ++i) {
    u.at.run("cd r && git branch -qf b" + std::to_string(i) +
             " && git commit -q --amend --allow-empty -m x" + std::to_string(i));
    u.fetch_from();
    u.loop.run([&] { return compact(u.store); });
    if (i == 0) objects = u.store.current()->object_count();
    CHECK(u.store.current()->object_count() == objects);
  }
}
