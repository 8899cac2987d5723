// SPDX-License-Identifier: MIT
// How much of a repository comes: history to a date or without a ref, and content that a filter
// leaves out; from a real git daemon, against what git itself says.

#include "support/git_daemon.hpp"
#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/fetch.hpp>
#include <fermata/loop/event_loop.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;

namespace {

constexpr std::int64_t first_second = 1'700'000'000;

// Ten commits, a day apart, with a branch at the fourth.
struct dated {
  dated() {
    repo.run("git init -q -b main r.git && cd r.git && git config uploadpack.allowFilter true");
    for (int i = 0; i < 10; ++i) {
      repo.write("r.git/d/f" + std::to_string(i), std::string(100 * static_cast<unsigned>(i), 'x'));
      const std::string when = std::to_string(first_second + i * 86'400) + " +0000";
      repo.run("cd r.git && git add -A && GIT_COMMITTER_DATE='" + when + "' git commit -qm c" +
               std::to_string(i) + (i == 3 ? " && git branch early" : ""));
    }
  }
  [[nodiscard]] std::string names(const std::string& of) const {
    return repo.output("cd r.git && git rev-list " + of + " | sort");
  }
  [[nodiscard]] std::string path() const { return (repo.path() / "r.git").string(); }
  temp_folder repo;
};

std::chrono::sys_seconds day(int n) {
  return std::chrono::sys_seconds(std::chrono::seconds(first_second + n * 86'400));
}

// Commits of the store, sorted, one a line.
std::string commits_of(const snapshot& s) {
  std::vector<std::string> names;
  for (const auto& p : s.packs) {
    for (std::uint32_t i = 0; i < p->entry_count(); ++i) {
      if (p->entry(i).type() == object_type::commit) names.push_back(p->entry(i).id.hex());
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::string all;
  for (const std::string& name : names) all += name + "\n";
  return all;
}

// Runs a case with the URL of the repository.
template <typename Case>
void at_daemon(const dated& from, Case one) {
  fermata::event_loop loop(fermata::testing::options_of_run());
  loop.run([&] {
    return with_git_daemon(from.repo.path(), {},
                           [&one](std::string url) { return one(url + "/r.git"); });
  });
}

promise<std::string> error_of(promise<fetch_result> p) {
  try {
    co_await std::move(p);
  } catch (const failure& f) {
    co_return f.what();
  }
  co_return "no error";
}

promise<> check_since(const dated& from, std::string url) {
  object_store store;
  clone_options o;
  o.shallow_since = day(6);
  promise<fetch_result> fetching = fetch(store, url, o);
  co_await std::move(fetching);
  CHECK(commits_of(*store.current()) ==
        from.names("--since=" + std::to_string(first_second + 6 * 86'400 - 1) + " main"));
  CHECK(store.current()->shallow.size() == 1);
  o.shallow_since = day(2);  // further back
  fetching = fetch(store, url, o);
  co_await std::move(fetching);
  CHECK(commits_of(*store.current()) == from.names("-8 main"));
  CHECK(store.current()->shallow.size() == 1);
  o.shallow_since = day(20);
  promise<std::string> refused = error_of(fetch(store, from.path(), o));
  const std::string said = co_await refused;
  CHECK_THAT(said, Catch::StartsWith("cannot fetch " + from.path() + ": "));
  CHECK_THAT(said, Catch::Contains("no commits selected for shallow requests"));
}

promise<> check_exclude(const dated& from, std::string url) {
  object_store store;
  clone_options o;
  o.shallow_exclude = {"early"};
  promise<fetch_result> fetching = fetch(store, url, o);
  co_await std::move(fetching);
  CHECK(commits_of(*store.current()) == from.names("main ^early"));
  CHECK(store.current()->shallow.size() == 1);
  o.shallow_exclude = {"nothing such"};
  promise<std::string> refused = error_of(fetch(store, url, o));
  const std::string said = co_await refused;
  CHECK(said == "cannot fetch " + url + ": \"nothing such\" is no name of a ref");
}

// What git leaves out, and no more.
promise<> check_filters(const dated& from, std::string url) {
  for (const std::string filter :
       {"blob:none", "blob:limit=500", "blob:limit=1k", "tree:0", "tree:1", "tree:2",
        "object:type=commit", "object:type=tree", "combine:tree:3+blob:limit=200"}) {
    INFO(filter);
    object_store store;
    clone_options o;
    o.depth = 0;
    o.filter = filter;
    promise<fetch_result> fetching = fetch(store, url, o);
    const fetch_result got = co_await std::move(fetching);
    const std::string expected = from.repo.output("cd r.git && git rev-list --objects --filter='" +
                                                  filter + "' main | wc -l");
    CHECK(store.current()->object_count() == std::stoul(expected));
    CHECK(got.ref == "refs/heads/main");
    fetching = fetch(store, url, o);
    const fetch_result again = co_await std::move(fetching);
    CHECK_FALSE(again.has_new);
  }
  object_store store;
  clone_options o;
  o.filter = "blob:none\ndone";
  promise<std::string> refused = error_of(fetch(store, url, o));
  std::string said = co_await refused;
  CHECK(said == "cannot fetch " + url + ": \"blob:none done\" is no filter");
  o.filter = "blob:most";
  refused = error_of(fetch(store, url, o));
  said = co_await refused;
  CHECK(said == "cannot fetch " + url + ": \"blob:most\" is no filter of git");
}

}  // namespace

TEST_CASE("history comes back to a date, and further back later", "[git_mem][extent]") {
  const dated from;
  at_daemon(from, [&](std::string url) { return check_since(from, url); });
}

TEST_CASE("history comes without what a branch reaches", "[git_mem][extent]") {
  const dated from;
  at_daemon(from, [&](std::string url) { return check_exclude(from, url); });
}

TEST_CASE("a filter leaves out what git leaves out", "[git_mem][extent]") {
  const dated from;
  at_daemon(from, [&](std::string url) { return check_filters(from, url); });
}

TEST_CASE("a filter that git does not know is refused before anything is asked",
          "[git_mem][extent]") {
  advertisement from;
  from.version = 2;
  from.can.add("fetch=shallow filter");
  fetch_request request;
  request.wants = {object_id()};
  const auto is_taken = [&](const std::string& filter) {
    request.filter = filter;
    try {
      return write_fetch(from, request).find("filter " + filter + "\n") != std::string::npos;
    } catch (const failure& f) {
      CHECK(f.what() == "\"" + filter + "\" is no filter of git");
      return false;
    }
  };
  for (const char* good :
       {"blob:none", "blob:limit=0", "blob:limit=1k", "blob:limit=12M", "tree:0", "tree:17",
        "object:type=tag", "sparse:oid=main:x", "combine:blob:none+tree:3",
        "combine:combine%3Ablob:none%2Btree%3a2+object:type=blob"}) {
    INFO(good);
    CHECK(is_taken(good));
  }
  for (const char* bad :
       {"blob", "blob:most", "blob:limit=", "blob:limit=k", "blob:limit=1kk", "blob:limit=-1",
        "tree:", "tree:x", "object:type=", "object:type=trees", "sparse:oid=", "sparse:path=a",
        "combine:", "combine:+", "combine:blob:none+", "combine:blob:none+blob:most",
        "combine:combine:blob%3Anone%2B"}) {
    INFO(bad);
    CHECK_FALSE(is_taken(bad));
  }
}

TEST_CASE("a server that cannot cut history at a date or a ref is told so", "[git_mem][extent]") {
  advertisement from;
  from.can.add_all("side-band-64k shallow");
  fetch_request request;
  request.wants = {object_id()};
  request.since = first_second;
  CHECK_THROWS_WITH(write_fetch(from, request), "the server cannot cut history at a date");
  request.since = 0;
  request.without = {"early"};
  CHECK_THROWS_WITH(write_fetch(from, request), "the server cannot cut history at a ref");
  from.can.add_all("deepen-since deepen-not");
  request.since = first_second;
  const std::string asked = write_fetch(from, request);
  CHECK_THAT(asked, Catch::Contains(" deepen-since deepen-not\n") &&
                        Catch::Contains("deepen-since 1700000000\n") &&
                        Catch::Contains("deepen-not early\n"));
  request.depth = 1;
  CHECK_THROWS_WITH(write_fetch(from, request),
                    Catch::Contains("a depth, and a date or a ref, exclude each other"));
}
