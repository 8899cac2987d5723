// SPDX-License-Identifier: MIT
// Clones over a stream in memory whose other end plays what a real `git upload-pack` answers: what
// the client will ask is known, so the answer can be made beforehand.

#include "support/pack_builder.hpp"
#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/analyse.hpp>
#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/promise/process.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/tcp.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <random>
#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::byte_stream;
using fermata::bytes_of;
using fermata::promise;
using fermata::test_loop;

namespace {

// Says all of `answer` in pieces of 1 to `most` bytes, and reads what the client says.
promise<> play(byte_stream& server, std::string answer, std::size_t most) {
  std::mt19937 random(3);
  for (std::size_t at = 0; at < answer.size();) {
    const std::size_t n = std::min<std::size_t>(1 + random() % most, answer.size() - at);
    promise<> written = server.write(bytes_of(std::string_view(answer).substr(at, n)));
    co_await written;
    at += n;
  }
  co_await server.shutdown();
}

struct outcome {
  clone_result result;
  std::string error;
};

promise<outcome> attempt(promise<clone_result> clone) {
  outcome o;
  try {
    o.result = co_await std::move(clone);
  } catch (const failure& f) {
    o.error = f.what();
  }
  co_return o;
}

outcome clone_from(const std::string& answer,
                   const std::string& url = "/repo",
                   clone_options options = {},
                   std::size_t most = 5000) {
  test_loop loop(fermata::testing::options_of_run());
  auto streams = fermata::memory_stream_pair(1 << 20);
  return loop.run([&]() -> promise<outcome> {
    promise<> played = play(*streams.second, answer, most);
    promise<clone_result> cloned = clone_over(*streams.first, remote_url::parse(url), options);
    outcome o = co_await attempt(std::move(cloned));
    streams.first->close();
    cancel(played);
    co_return o;
  });
}

class served_repository {
public:
  served_repository() {
    repo.run("git init -q -b main . && git config uploadpack.allowFilter true");
    for (int i = 0; i < 5; ++i) {
      repo.write("packages/p" + std::to_string(i) + "/opam",
                 std::string(400, 'x') + std::to_string(i));
      repo.run("git add -A && git commit -qm c" + std::to_string(i));
    }
    repo.run("git tag -a -m t v1 && git branch other HEAD~2");
  }

  [[nodiscard]] object_id rev(const std::string& name) const {
    return *object_id::from_hex(repo.output("git rev-parse '" + name + "'").substr(0, 40));
  }

  // What upload-pack answers to the requests for this tip.
  [[nodiscard]] std::string answer(int version,
                                   const object_id& tip,
                                   std::uint32_t depth,
                                   const std::string& ls_refs) const {
    fetch_request request;
    request.wants = {tip};
    request.depth = depth;
    request.thin_pack = false;
    advertisement from;
    from.version = version;
    from.can.add("fetch=shallow");
    from.can.add_all("side-band-64k shallow ofs-delta agent");
    std::string asked = version == 2 ? ls_refs : "";
    asked += write_fetch(from, request);
    repo.write("../" + repo.path().filename().string() + "/.git/asked", asked);
    return repo.output("GIT_PROTOCOL=version=" + std::to_string(version) +
                       " git upload-pack . < .git/asked 2>.git/err || true");
  }
  [[nodiscard]] std::string v2(const std::string& name, std::uint32_t depth = 1) const {
    capabilities can;
    can.add("ls-refs=unborn");
    return answer(2, rev(name), depth, ls_refs_request(can, {}));
  }

  temp_folder repo;
};

}  // namespace

TEST_CASE("clone_over clones at a depth, over every version", "[git_mem][clone]") {
  const served_repository served;
  const int version = GENERATE(2, 1, 0);
  const std::uint32_t depth = GENERATE(1U, 3U, 0U);
  capabilities can;
  can.add("ls-refs");
  const std::string answer =
      served.answer(version, served.rev("HEAD"), depth, ls_refs_request(can, {}));
  std::vector<clone_phase> phases;
  clone_options options;
  options.depth = depth;
  options.on_progress = [&phases](const clone_progress& p) {
    if (phases.empty() || phases.back() != p.phase) phases.push_back(p.phase);
  };
  const std::size_t most = GENERATE(std::size_t{3}, std::size_t{100'000});
  outcome o = clone_from(answer, "/repo", options, most);
  REQUIRE(o.error == "");
  CHECK(o.result.protocol_version == version);
  CHECK(o.result.tip == served.rev("HEAD"));
  CHECK(o.result.ref == "refs/heads/main");
  const std::size_t commits = depth == 0 ? 5 : depth;
  CHECK(o.result.objects->object_count() ==
        std::stoul(served.repo.output("git rev-list --objects -n " + std::to_string(commits) +
                                      " HEAD | wc -l")));
  CHECK(o.result.shallow.size() == (depth == 0 ? 0 : 1));
  CHECK(phases.front() == clone_phase::negotiate);
  CHECK(phases.back() == clone_phase::done);
}

TEST_CASE("clone_over of a shallow repository is as shallow, over every version",
          "[git_mem][clone]") {
  const served_repository served;
  served.repo.run("git rev-parse HEAD~2 > .git/shallow");
  const int version = GENERATE(2, 1, 0);
  const std::uint32_t depth = GENERATE(0U, 2U, 7U);
  capabilities can;
  can.add("ls-refs");
  clone_options options;
  options.depth = depth;
  const outcome o =
      clone_from(served.answer(version, served.rev("HEAD"), depth, ls_refs_request(can, {})),
                 "/repo", options);
  REQUIRE(o.error == "");
  CHECK(o.result.shallow == std::vector<object_id>{served.rev(depth == 2 ? "HEAD~1" : "HEAD~2")});
}

TEST_CASE("clone_over takes a branch, a tag or a whole ref", "[git_mem][clone]") {
  const served_repository served;
  for (const std::string name : {"other", "v1", "refs/heads/other"}) {
    const outcome o = clone_from(served.v2(name), "/repo#" + name);
    CHECK(o.error == "");
    CHECK(o.result.tip == served.rev(name));
  }
  CHECK(clone_from(served.v2("HEAD"), "/repo#nope").error ==
        "cannot clone /repo: branch \"nope\" is not in the repository");
}

TEST_CASE("clone_over of an empty repository gives no tip", "[git_mem][clone]") {
  const temp_folder repo;
  repo.run("git init -q -b odd .");
  capabilities can;
  can.add("ls-refs=unborn");
  repo.write("asked", ls_refs_request(can, {}));
  const int version = GENERATE(2, 0);
  const std::string answer = repo.output("GIT_PROTOCOL=version=" + std::to_string(version) +
                                         " git upload-pack . < asked 2>/dev/null || true");
  const outcome o = clone_from(answer);
  CHECK(o.error == "");
  CHECK(o.result.is_empty());
  CHECK_FALSE(o.result.objects);
  REQUIRE(o.result.refs.size() == (version == 2 ? 1 : 0));
  if (version != 2) return;  // they do not tell
  CHECK(o.result.refs[0].name == "HEAD");
  CHECK(o.result.refs[0].id.is_zero());
  CHECK(o.result.refs[0].symbolic_target == "refs/heads/odd");
}

TEST_CASE("clone_over says what is wrong with the other side", "[git_mem][clone]") {
  const served_repository served;
  const std::string good = served.v2("HEAD");
  CHECK(clone_from("").error ==
        "cannot clone /repo: the server hung up before it said what it has");
  CHECK(clone_from("HTTP/1.1 400 Bad Request\r\n").error ==
        "cannot clone /repo: protocol byte 0: \"HTTP\" is no packet length");
  std::string refused;
  append_pkt(refused, "ERR access denied or repository not exported: /x");
  CHECK(clone_from(refused, "git://u.example:1/x").error ==
        "cannot clone git://u.example:1/x: the server says: access denied or repository not "
        "exported: /x");
  const std::size_t pack = good.find("PACK");
  CHECK_THAT(clone_from(good.substr(0, pack + 3)).error,
             Catch::StartsWith("cannot clone /repo: protocol byte ") &&
                 Catch::EndsWith("the connection ended inside a packet"));
  std::string damaged = good;
  damaged[pack + 200] = static_cast<char>(damaged[pack + 200] ^ 1);
  CHECK_THAT(clone_from(damaged).error, Catch::StartsWith("cannot clone /repo: pack byte "));
  for (std::size_t n = 0; n < good.size(); n += 97) {
    INFO("hangs up after " << n);
    CHECK_THAT(clone_from(good.substr(0, n)).error, Catch::StartsWith("cannot clone /repo: "));
  }
}

TEST_CASE("clone_over gives up on a server that falls silent", "[git_mem][clone]") {
  test_loop loop(fermata::testing::options_of_run());
  auto streams = fermata::memory_stream_pair();
  clone_options options;
  options.idle_timeout = std::chrono::seconds(7);
  const outcome o = loop.run([&]() -> promise<outcome> {
    promise<clone_result> cloned = clone_over(*streams.first, remote_url::parse("/repo"), options);
    return attempt(std::move(cloned));
  });
  CHECK(o.error == "cannot clone /repo: the server was silent for 7 s");
}

TEST_CASE("clone_over gives up on a server that trickles", "[git_mem][clone]") {
  const served_repository served;
  const std::string good = served.v2("HEAD");
  test_loop loop(fermata::testing::options_of_run());
  auto streams = fermata::memory_stream_pair();
  clone_options options;
  options.rate_time = std::chrono::seconds(20);
  const outcome o = loop.run([&]() -> promise<outcome> {
    promise<> trickle = [](byte_stream& to, std::string text) -> promise<> {
      for (const char c : text) {
        promise<> written = to.write(bytes_of(std::string_view(&c, 1)));
        co_await written;
        co_await fermata::sleep_for(std::chrono::seconds(1));
      }
    }(*streams.second, good);
    promise<clone_result> cloned = clone_over(*streams.first, remote_url::parse("/repo"), options);
    outcome tried = co_await attempt(std::move(cloned));
    cancel(trickle);
    co_return tried;
  });
  CHECK_THAT(o.error, Catch::StartsWith("cannot clone /repo: the server is too slow: ") &&
                          Catch::EndsWith(" bytes in 20 s"));
}

TEST_CASE("clone_over ends when it is cancelled, wherever it is", "[git_mem][clone]") {
  const served_repository served;
  const std::string good = served.v2("HEAD");
  for (std::size_t n = 0; n < good.size(); n += 211) {
    test_loop loop(fermata::testing::options_of_run());
    auto streams = fermata::memory_stream_pair(1 << 20);
    const bool was_cancelled = loop.run([&]() -> promise<bool> {
      promise<> written = streams.second->write(bytes_of(std::string_view(good).substr(0, n)));
      promise<clone_result> cloned =
          clone_over(*streams.first, remote_url::parse("/repo"), clone_options());
      co_await fermata::sleep_for(std::chrono::seconds(1));
      cancel(cloned);
      try {
        co_await cloned;
      } catch (const fermata::cancelled&) {
        co_return true;
      }
      co_return false;
    });
    CHECK(was_cancelled);
  }
}

namespace {

// A git daemon that ends with the test.
promise<fermata::process> start_daemon(const std::filesystem::path& base, std::uint16_t port) {
  fermata::command c({"git", "daemon", "--reuseaddr", "--export-all", "--listen=127.0.0.1",
                      "--port=" + std::to_string(port), "--base-path=" + base.string(),
                      base.string()});
  c.own_group = true;
  c.in = c.out = fermata::stdio::null;
  return fermata::spawn(std::move(c));
}

std::uint16_t free_port() { return fermata::tcp_listener("127.0.0.1:0").port(); }

}  // namespace

TEST_CASE("clone speaks to a git daemon", "[git_mem][clone]") {
  const served_repository served;
  fermata::event_loop loop(fermata::testing::options_of_run());
  outcome here, nowhere, refused;
  loop.run([&]() -> promise<> {
    const std::uint16_t port = free_port();
    const std::string at = "git://127.0.0.1:" + std::to_string(port);
    promise<outcome> refused_try = attempt(clone(at + "/x"));
    refused = co_await std::move(refused_try);
    promise<fermata::process> started = start_daemon(served.repo.path(), port);
    fermata::process daemon = co_await std::move(started);
    for (int i = 0; i < 100; ++i) {  // until it listens
      promise<outcome> here_try = attempt(clone(at + "/.git#other"));
      here = co_await std::move(here_try);
      if (here.error.empty()) break;
      co_await fermata::sleep_for(std::chrono::milliseconds(50));
    }
    promise<outcome> nowhere_try = attempt(clone(at + "/nowhere"));
    nowhere = co_await std::move(nowhere_try);
    daemon.kill(SIGTERM);
    co_await daemon.wait();
    CHECK(refused.error.starts_with("cannot clone " + at + "/x: cannot connect to 127.0.0.1"));
    CHECK(nowhere.error.starts_with("cannot clone " + at + "/nowhere: "));
  });
  CHECK(here.error == "");
  CHECK(here.result.tip == served.rev("other"));
  CHECK(here.result.protocol_version == 2);
}

TEST_CASE("clone of a local path runs git upload-pack", "[git_mem][clone]") {
  const served_repository served;
  const std::string path = served.repo.path().string();
  fermata::event_loop loop(fermata::testing::options_of_run());
  outcome good, nowhere;
  std::string unusable;
  loop.run([&]() -> promise<> {
    promise<outcome> good_try = attempt(clone(path));
    good = co_await std::move(good_try);
    promise<outcome> nowhere_try = attempt(clone(path + "/packages"));
    nowhere = co_await std::move(nowhere_try);
    promise<outcome> svn = attempt(clone("svn://u:p@h/x"));
    const outcome o = co_await std::move(svn);
    unusable = o.error;
  });
  CHECK(good.error == "");
  CHECK(good.result.tip == served.rev("HEAD"));
  CHECK(good.result.objects->object_count() == 13);
  CHECK(nowhere.error == "cannot clone " + path +
                             "/packages: the server hung up before it said what it has (git says: "
                             "fatal: '" +
                             path + "/packages' does not appear to be a git repository)");
  CHECK(unusable == "cannot use svn://h/x: unknown scheme svn");
}

TEST_CASE("clone of the real repository is small in memory and complete", "[git_mem][clone]") {
  std::filesystem::path tar;
  if (!find_shared_data("opam-repository-depth1.git.tar", tar)) return;
  const temp_folder folder;
  folder.run("tar xf '" + std::filesystem::absolute(tar).string() + "'");
  fermata::event_loop loop(fermata::testing::options_of_run());
  std::uint64_t files = 0, bytes = 0;
  loop.run([&]() -> promise<> {
    promise<clone_result> cloned = clone((folder.path() / "opam-repository-depth1.git").string());
    clone_result result = co_await std::move(cloned);
    CHECK(result.tip.hex() == "97014be61691efb695da5de8e860cba5d74fa1f5");
    CHECK(result.shallow.size() == 1);
    object_store store;
    const object_id tip = result.tip;
    store.publish(make_snapshot(store, std::move(result)));
    promise<> walked = walk_files(store.current(), tip, "", [&](const tree_walk::entry& e) {
      ++files;
      bytes += e.size_bytes;
      return fermata::ready();
    });
    co_await walked;
  });
  CHECK(files == 18808);
  CHECK(bytes == 25975248);
}

TEST_CASE("analyse, find_path, walk_files and get_object pause for every unit",
          "[git_mem][clone]") {
  const served_repository served;
  const std::string bytes = served.repo.output("git pack-objects --all --stdout -q </dev/null");
  fermata::loop_options always;
  always.when = fermata::policy::always();
  test_loop loop(std::move(always));
  const object_id head = served.rev("HEAD");
  std::string seen;
  loop.run([&]() -> promise<> {
    promise<std::unique_ptr<pack>> analysed = analyse(bytes_of(bytes));
    std::unique_ptr<pack> made = co_await std::move(analysed);
    const snapshot_ptr s = snapshot_of(std::move(made));
    promise<> walked = walk_files(s, head, "packages", [&](const tree_walk::entry& e) {
      seen += e.path + " ";
      return fermata::ready();
    });
    co_await walked;
    promise<std::optional<path_finder::place>> found = find_path(s, head, "packages/p3/opam");
    const std::optional<path_finder::place> place = co_await found;
    CHECK(place.has_value());
    promise<object> got = get_object(s, place->id);
    const object o = co_await std::move(got);
    seen += o.text().substr(399);
    object_cache recent(*s);
    for (int i = 0; i < 2; ++i) {  // the second time from the cache
      promise<object> again = get_object(s, head, any_size, &recent);
      const object commit = co_await std::move(again);
      CHECK(name_object(commit.type, commit.bytes()) == head);
    }
  });
  CHECK(seen == "p0/opam p1/opam p2/opam p3/opam p4/opam x3");
  CHECK(loop.metrics().looks > 30);
}
