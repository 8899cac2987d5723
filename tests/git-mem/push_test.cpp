// SPDX-License-Identifier: MIT
// Pushes from a store to repositories of git, which judge what comes.

#include "support/git_daemon.hpp"
#include "support/git_http_server.hpp"
#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/change.hpp>
#include <fermata/git_mem/fetch.hpp>
#include <fermata/git_mem/push.hpp>
#include <fermata/loop/event_loop.hpp>

#include <catch2/catch.hpp>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;

namespace {

// A bare repository with three commits, and a store that was cloned from it.
struct cloned {
  explicit cloned(std::uint32_t depth = 0) {
    repo.run(
        "git init -q -b main w && cd w && for i in 1 2 3; do seq $((i * 100)) > f$i; git add . && "
        "git commit -qm $i; done; git tag v1; cd .. && git clone -q --bare w r.git");
    clone_options options;
    options.depth = depth;
    loop.run([&] { return fetch(store, url(), options); });
  }
  [[nodiscard]] std::string url() const { return (repo.path() / "r.git").string(); }
  [[nodiscard]] object_id there(const std::string& ref) const {
    return *object_id::from_hex(repo.output("git -C r.git rev-parse '" + ref + "'").substr(0, 40));
  }
  // A commit with one more file on top of another.
  object_id commit_on(const object_id& parent, const std::string& text) {
    return loop.run([&]() -> promise<object_id> {
      change c(store);
      promise<object_id> blob = c.add_blob(fermata::bytes_of(text));
      tree_item file;
      file.name = "new";
      file.id = co_await blob;
      promise<object_id> tree = c.add_tree({1, file});
      commit next;
      next.tree = co_await tree;
      next.parents.push_back(parent);
      next.author = next.committer = parse_signature("A <a@b> 1700000000 +0000");
      next.message = text;
      promise<object_id> added = c.add_commit(next);
      const object_id id = co_await added;
      c.set_ref("refs/local/" + id.hex(), id);
      promise<> published = c.publish();
      co_await published;
      co_return id;
    });
  }
  push_result push_all(std::vector<push_command> what, push_options options = {}) {
    return loop.run([&] { return push(store.current(), url(), what, options); });
  }

  temp_folder repo;
  fermata::event_loop loop{fermata::testing::options_of_run()};
  object_store store;
};

}  // namespace

TEST_CASE("a push sends what the remote does not have", "[git_mem][push]") {
  cloned c(GENERATE(0U, 1U));
  const object_id id = c.commit_on(c.there("main"), "hello");
  const push_result pushed =
      c.push_all({push_command("refs/heads/main", id), push_command("refs/heads/topic", id)});
  REQUIRE(pushed.refs.size() == 2);
  CHECK(pushed.refs[0].refused == "");
  CHECK(pushed.refs[1].refused == "");
  CHECK(pushed.objects == 3);  // commit, tree, blob
  CHECK(pushed.refs[1].before.is_zero());
  CHECK(c.there("main") == id);
  CHECK(c.there("topic") == id);
  CHECK(c.repo.output("git -C r.git cat-file -p main:new") == "hello");
  CHECK(c.repo.output("git -C r.git fsck --full --strict 2>&1") == "");
  CHECK(c.push_all({push_command("refs/heads/main", id)}).objects == 0);
  CHECK(c.push_all({push_command("refs/heads/topic", object_id())}).is_success());
  CHECK(c.repo.output("git -C r.git branch --list topic") == "");
}

TEST_CASE("a push refuses what would lose commits, unless forced", "[git_mem][push]") {
  cloned c;
  const object_id tip = c.there("main");
  const object_id other = c.commit_on(c.there("main~1"), "other");
  push_command to_main("refs/heads/main", other);
  const push_result refused = c.push_all({to_main});
  CHECK(refused.refs[0].refused == "not a fast-forward: it stands at " + tip.hex() + " there");
  CHECK_FALSE(refused.is_success());
  CHECK(c.there("main") == tip);
  push_options atomic;
  atomic.atomic = true;
  const push_result none = c.push_all({push_command("refs/heads/x", other), to_main}, atomic);
  CHECK(none.refs[0].refused == "another ref is refused");
  CHECK(c.repo.output("git -C r.git branch --list x") == "");
  to_main.force = true;
  to_main.expected = other;
  CHECK(c.push_all({to_main}).refs[0].refused == "it stands at " + tip.hex() + " there");
  to_main.expected = tip;
  CHECK(c.push_all({to_main}).is_success());
  CHECK(c.there("main") == other);
  push_command tag("refs/tags/v1", other);
  CHECK(c.push_all({tag}).refs[0].refused == "the tag is there already");
  tag.expected = object_id();
  CHECK(c.push_all({tag}).refs[0].refused == "it stands at " + tip.hex() + " there");
}

TEST_CASE("a push names each ref once", "[git_mem][push]") {
  cloned c;
  const push_command one("refs/heads/x", c.there("main"));
  CHECK_THROWS_WITH(c.push_all({one, one}),
                    "cannot push to " + c.url() + ": \"refs/heads/x\" is named twice");
  CHECK(c.repo.output("git -C r.git branch --list x") == "");
}

TEST_CASE("a push tells what the remote's hooks refuse and say", "[git_mem][push]") {
  cloned c;
  c.repo.write("r.git/hooks/update", "#!/bin/sh\necho \"no $1\"\n[ $1 != refs/heads/main ]\n");
  c.repo.run("chmod +x r.git/hooks/update");
  const object_id id = c.commit_on(c.there("main"), "hooked");
  const push_result pushed =
      c.push_all({push_command("refs/heads/main", id), push_command("refs/heads/ok", id)});
  CHECK(pushed.refs[0].refused == "the remote refused: hook declined");
  CHECK(pushed.refs[1].refused == "");
  CHECK(pushed.remote_says.find("no refs/heads/main") != std::string::npos);
  CHECK(c.there("ok") == id);
  CHECK_THROWS_WITH(c.push_all({push_command("refs/heads/../x", id)}),
                    "cannot push to " + c.url() + ": \"refs/heads/../x\" is no name of a ref");
  const object_id none = *object_id::from_hex(std::string(40, '1'));
  CHECK_THROWS_WITH(c.push_all({push_command("refs/heads/x", none)}),
                    "cannot push to " + c.url() + ": object " + none.hex() + ": not in the store");
}

TEST_CASE("a push hears the hooks that run after its report, to their end", "[git_mem][push]") {
  cloned c;
  // More than a pipe holds: nobody listening, it would not end.
  c.repo.write("r.git/hooks/post-receive",
               "#!/bin/sh\necho 'to be seen'\nhead -c 300000 /dev/zero | tr '\\0' x\n: >ended\n");
  c.repo.run("chmod +x r.git/hooks/post-receive");
  const object_id id = c.commit_on(c.there("main"), "hooked");
  const push_result pushed = c.push_all({push_command("refs/heads/main", id)});
  CHECK(pushed.is_success());
  CHECK(pushed.remote_says.starts_with("to be seen"));
  CHECK(pushed.remote_says.size() < 66'000);
  CHECK(c.repo.output("ls r.git/ended") == "r.git/ended\n");
}

namespace {

// What every way of transport must do: move a ref, refuse, and tell what a hook refuses.
promise<> push_thrice(cloned& c, object_id good, object_id other, std::string url) {
  push_options direct;
  direct.connection.remote.http.proxy = "";
  direct.connection.remote.http.use_netrc = false;
  promise<push_result> pushing =
      push(c.store.current(), url, {1, push_command("refs/heads/main", good)}, direct);
  const push_result moved = co_await std::move(pushing);
  CHECK(moved.refs[0].refused == "");
  CHECK(moved.objects == 3);
  pushing = push(c.store.current(), url, {1, push_command("refs/heads/main", other)}, direct);
  const push_result refused = co_await std::move(pushing);
  CHECK(refused.refs[0].refused == "not a fast-forward: it stands at " + good.hex() + " there");
  push_command wrong("refs/heads/main", other);
  wrong.force = true;
  wrong.expected = other;
  pushing = push(c.store.current(), url, {1, wrong}, direct);
  const push_result stale = co_await std::move(pushing);
  CHECK(stale.refs[0].refused == "it stands at " + good.hex() + " there");
  pushing = push(c.store.current(), url, {1, push_command("refs/heads/no", good)}, direct);
  const push_result hooked = co_await std::move(pushing);
  CHECK(hooked.refs[0].refused == "the remote refused: hook declined");
  CHECK(hooked.remote_says.find("never refs/heads/no") != std::string::npos);
}

void add_hook(const cloned& c) {
  c.repo.write("r.git/hooks/update", "#!/bin/sh\necho \"never $1\"\n[ $1 != refs/heads/no ]\n");
  c.repo.run("chmod +x r.git/hooks/update && git -C r.git config http.receivepack true");
}

}  // namespace

TEST_CASE("a push goes over a real git daemon", "[git_mem][push]") {
  cloned c;
  add_hook(c);
  const object_id good = c.commit_on(c.there("main"), "by daemon");
  const object_id other = c.commit_on(c.there("main~1"), "beside it");
  c.loop.run([&] {
    return with_git_daemon(c.repo.path(), {"--enable=receive-pack"}, [&](std::string url) {
      return push_thrice(c, good, other, url + "/r.git");
    });
  });
  CHECK(c.there("main") == good);
  CHECK(c.repo.output("git -C r.git fsck --full --strict 2>&1") == "");
  std::string closed;
  c.loop.run([&] {
    return with_git_daemon(c.repo.path(), {}, [&](std::string url) -> promise<> {
      const std::string to = url + "/r.git";
      promise<push_result> pushing =
          push(c.store.current(), to, {1, push_command("refs/heads/x", good)});
      try {
        co_await std::move(pushing);
      } catch (const failure& f) {
        closed = f.what();
      }
    });
  });
  CHECK(closed.ends_with(
      "/r.git: the server says: access denied or repository not exported: /r.git"));
}

TEST_CASE("a push goes over a real git http-backend", "[git_mem][push]") {
  cloned c;
  add_hook(c);
  const object_id good = c.commit_on(c.there("main"), "by http");
  const object_id other = c.commit_on(c.there("main~1"), "beside it");
  c.loop.run([&]() -> promise<> {
    const git_http_server s(c.repo.path().string());
    promise<> pushed = push_thrice(c, good, other, s.url("/r.git"));
    co_await pushed;
    CHECK(s.asked.size() == 6);  // two requests each that is sent, one each that is not
  });
  CHECK(c.there("main") == good);
}

TEST_CASE("a push over http of more than a piece comes whole", "[git_mem][push]") {
  cloned c;
  c.repo.run("git -C r.git config http.receivepack true");
  std::string large(300'000, ' ');  // 180 kB deflated
  std::mt19937 random(1);
  for (char& letter : large) letter = static_cast<char>('a' + random() % 26);
  const object_id id = c.commit_on(c.there("main"), large);
  std::vector<push_command> all;
  for (int i = 0; i < 500; ++i) all.emplace_back("refs/heads/b" + std::to_string(i), id);
  c.loop.run([&]() -> promise<> {
    const git_http_server s(c.repo.path().string());
    promise<push_result> pushing = push(c.store.current(), s.url("/r.git"), all);
    const push_result pushed = co_await std::move(pushing);
    CHECK(pushed.is_success());
  });
  CHECK(c.there("b0") == id);
  CHECK(c.there("b499") == id);
  CHECK(c.repo.output("git -C r.git fsck --full --strict 2>&1") == "");
}

TEST_CASE("a push goes over ssh", "[git_mem][push]") {
  cloned c;
  add_hook(c);
  const object_id good = c.commit_on(c.there("main"), "by ssh");
  const object_id other = c.commit_on(c.there("main~1"), "beside it");
  c.repo.write("ssh",
               "#!/bin/sh\nfor last; do :; done\nPATH=\"$PATH:$(git --exec-path)\"\n"
               "exec sh -c \"$last\"\n");
  c.repo.run("chmod +x ssh");
  ::setenv("GIT_SSH", (c.repo.path() / "ssh").c_str(), 1);
  c.loop.run([&] { return push_thrice(c, good, other, "git@example.org:" + c.url()); });
  ::unsetenv("GIT_SSH");
  CHECK(c.there("main") == good);
}
