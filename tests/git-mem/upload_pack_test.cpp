// SPDX-License-Identifier: MIT
// Real git clones and fetches from a store of ours, beside the same from git's own upload-pack:
// the same objects, refs and shallow commits must come of it.

#include "support/git_server.hpp"

#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;

namespace {

constexpr const char* all_objects =
    "git cat-file --batch-all-objects --batch-check='%(objectname) %(objecttype) %(objectsize)'";

// A repository of real git, and what our server makes of it.
class fixture {
public:
  fixture() {
    repo.run(
        "git init -q -b main origin && cd origin && git config uploadpack.allowFilter true && "
        "git config uploadpack.allowAnySHA1InWant true");
    for (int i = 0; i < 6; ++i) commit("c" + std::to_string(i), i);
    run("git checkout -q -b topic HEAD~3");
    commit("topic", 20);
    run("git checkout -q main && git merge -q -m merge topic");
    commit("last", 30);
    run("git tag light HEAD~2 && git tag -a -m t v1 HEAD~1 && "
        "git -c advice.nestedTag=false tag -a -m tt v2 v1 && git branch side HEAD~4");
    load_repository(repo, "origin", store);
  }

  void run(const std::string& shell) const { repo.run("cd origin && " + shell); }
  void commit(const std::string& name, int at) const {
    const std::string date = std::to_string(1'700'000'000 + at * 1000) + " +0000";
    std::string text;
    for (int i = 0; i < 50; ++i) text += "line " + std::to_string(i) + "\n";
    if (name != "topic") repo.write("origin/big", text + name);
    repo.write("origin/dir/" + name, name);
    run("git add -A && GIT_AUTHOR_DATE='" + date + "' GIT_COMMITTER_DATE='" + date +
        "' git commit -qm " + name);
  }
  void reload() { load_repository(repo, "origin", store); }

  // The same commands against git's own server and against ours, which must end alike. `$URL` is
  // the server, the commands make a repository `it`.
  void compare(const std::string& shell, const std::string& version = "2") {
    INFO(shell << ", protocol " << version);
    const std::string set =
        "export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=protocol.version "
        "GIT_CONFIG_VALUE_0=" +
        version + "; ";
    const std::string look =
        " >/dev/null 2>&1; cd it; git fsck --full --strict >/dev/null 2>&1; "
        "cat \"$(git rev-parse --git-dir)/shallow\" 2>/dev/null | sort -u; git for-each-ref; " +
        std::string(all_objects);
    const std::string real =
        repo.output("rm -rf it; export URL=file://\"$PWD\"/origin; " + set + shell + look);
    git_server server(store);
    const std::string ours = server.run(repo, "rm -rf it; " + set + shell + look);
    CHECK(ours == real);
    CHECK(server.errors.empty());
    for (const upload_report& r : server.reports) CHECK(r.version == std::stoi(version));
  }

  temp_folder repo;
  object_store store;
};

std::string packets(std::initializer_list<std::string_view> lines) {
  std::string out;
  for (const std::string_view l : lines) {
    if (l == "0000" || l == "0001") {
      out += l;
    } else {
      append_pkt(out, l);
    }
  }
  return out;
}

struct talk {
  std::string answer;
  std::string error;
};

promise<> serve_memory(snapshot_ptr from,
                       fermata::byte_stream& stream,
                       upload_pack_options options,
                       talk& t) {
  promise<upload_report> served = upload_pack(std::move(from), stream, std::move(options));
  try {
    co_await served;
  } catch (const fermata::error& e) {
    t.error = e.what();
  }
  co_await stream.shutdown();
}

promise<talk> say(snapshot_ptr from, std::string request, upload_pack_options options) {
  talk t;
  auto streams = fermata::memory_stream_pair(1 << 20);
  promise<> served = serve_memory(std::move(from), *streams.second, std::move(options), t);
  promise<> written = write_text(*streams.first, std::move(request));
  co_await written;
  co_await streams.first->shutdown();
  promise<std::string> reading = read_to_end(*streams.first, 1 << 24);
  t.answer = co_await std::move(reading);
  co_await served;
  co_return t;
}

talk converse(const snapshot_ptr& from, std::string request, upload_pack_options options) {
  fermata::test_loop loop(fermata::testing::options_of_run());
  return loop.run([&] { return say(from, std::move(request), std::move(options)); });
}

upload_pack_options one_request(int version) {
  upload_pack_options o;
  o.version = version;
  o.part = upload_part::request;
  return o;
}

}  // namespace

TEST_CASE("git clones over every protocol version", "[git_mem][upload_pack]") {
  fixture f;
  for (const char* version : {"0", "1", "2"}) f.compare("git clone -q $URL it", version);
  f.compare("git clone -q --mirror $URL it", "0");
  f.compare("git clone -q --mirror $URL it");
  f.compare("git clone -q --single-branch -b side --no-tags $URL it");
  f.run("git checkout -q HEAD~1");
  f.reload();
  f.compare("git clone -q $URL it");
}

TEST_CASE("git clones a part of history", "[git_mem][upload_pack]") {
  fixture f;
  f.compare("git clone -q --depth=3 --no-single-branch $URL it", "0");
  f.compare("git clone -q --shallow-since=1700003500 $URL it", "0");
  f.compare("git clone -q --depth=2 $URL it; git -C it fetch -q --deepen=1", "0");
  f.compare("git clone -q --shallow-since=1700003500 $URL it");
  f.compare("git clone -q --shallow-exclude=side $URL it");
  f.compare("git clone -q --depth=1 $URL it; git -C it fetch -q origin side");
}

TEST_CASE("history that ends at its first commit is told as git tells it",
          "[git_mem][upload_pack]") {
  fixture f;
  for (const char* version : {"0", "2"}) {
    const std::string clone = "git clone -q --depth=4 --branch side $URL it";
    f.compare(clone, version);
    f.compare(clone + "; git -C it fetch -q --deepen=1", version);
    f.compare(clone + "; git -C it fetch -q --unshallow", version);
    f.compare(
        "git clone -q --no-single-branch --depth=2 $URL it; "
        "git -C it fetch -q --deepen=1 origin side",
        version);
  }
}

// git's server tells where the history behind one parent ends, too, when the other is left out; its
// client then has no such commit, and cannot complete what it has.
TEST_CASE("history that was cut at a merge is completed later", "[git_mem][upload_pack]") {
  fixture f;
  const std::string merge = f.repo.output("git -C origin rev-parse main~1");
  const std::string all = f.repo.output("git -C origin rev-list main | sort");
  for (const char* version : {"0", "2"}) {
    git_server server(f.store);
    CHECK(server.run(f.repo,
                     "rm -rf it; export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="
                     "protocol.version GIT_CONFIG_VALUE_0=" +
                         std::string(version) +
                         "; git clone -q --shallow-exclude=topic $URL it; cd it; "
                         "cat .git/shallow; git fetch -q --unshallow; "
                         "git rev-list HEAD | sort") == merge + all);
  }
}

TEST_CASE("git deepens what is shallow", "[git_mem][upload_pack]") {
  fixture f;
  f.compare("git clone -q --depth=2 $URL it; git -C it fetch -q --depth=4");
  f.compare("git clone -q --depth=2 $URL it; git -C it fetch -q --deepen=1");
  f.compare("git clone -q --depth=2 $URL it; git -C it fetch -q --unshallow");
  f.compare("git clone -q --depth=2 $URL it; git -C it fetch -q --unshallow", "0");
}

TEST_CASE("git makes partial clones, and fetches what it lacks", "[git_mem][upload_pack]") {
  fixture f;
  f.compare("git clone -q --bare --filter=blob:limit=200 $URL it");
  f.compare("git clone -q --bare --filter=tree:0 $URL it");
  f.compare("git clone -q --filter=blob:none $URL it");
  f.run(
      "git tag -a -m t whole HEAD~2^{tree} && git tag -a -m t part HEAD~3:dir && "
      "git tag -a -m t file HEAD:dir/c1");
  f.reload();
  for (const char* filter :
       {"tree:0", "tree:1", "tree:2", "tree:3", "blob:none", "blob:limit=3", "object:type=commit",
        "object:type=tree", "object:type=blob", "object:type=tag"}) {
    f.compare("git clone -q --mirror --filter=" + std::string(filter) + " $URL it");
  }
  f.compare("git clone -q --mirror --filter=blob:limit=3 --filter=tree:2 $URL it");
  f.compare("git clone -q --bare --filter=tree:1 $URL it", "0");
  f.compare("git clone -q --bare --depth 2 --filter=tree:1 $URL it");
  git_server server(f.store);
  const fermata::run_result r =
      server.attempt(f.repo, "git clone -q --bare --filter=sparse:oid=main:big $URL it2");
  CHECK_FALSE(r.status.is_success());
  REQUIRE(server.errors.size() == 1);
  CHECK(server.errors.front() == "filter sparse:oid=main:big is not supported");
  CHECK_THAT(r.err, Catch::Contains("filter sparse:oid=main:big is not supported"));
}

TEST_CASE("git clones empty, unborn and shallow repositories", "[git_mem][upload_pack]") {
  fixture f;
  f.repo.run("git init -q -b odd empty");
  object_store empty;
  load_repository(f.repo, "empty", empty);
  git_server server(empty);
  CHECK(server.run(f.repo, "git clone -q $URL e 2>/dev/null; git -C e symbolic-ref HEAD") ==
        "refs/heads/odd\n");
  CHECK(server.run(f.repo, "git -c protocol.version=0 ls-remote $URL") == "");

  f.repo.run("git clone -q --depth=3 file://\"$PWD\"/origin cut && rm -rf origin && mv cut origin");
  f.run("git config uploadpack.allowFilter true && git update-ref -d refs/remotes/origin/HEAD");
  f.reload();
  f.compare("git clone -q $URL it", "0");
  f.compare("git clone -q $URL it");
  f.compare("git clone -q --depth=2 $URL it; git -C it fetch -q --depth=9");
}

TEST_CASE("git fetches what is new alone, also after a branch was rewritten",
          "[git_mem][upload_pack]") {
  fixture f;
  for (const char* version : {"0", "2"}) {
    const std::string set = "git -c protocol.version=" + std::string(version);
    git_server server(f.store);
    server.run(f.repo, set + " clone -q --mirror $URL m" + version);
    const std::string fetch =
        "cd m" + std::string(version) + " && " + set + " fetch -q $URL '+refs/*:refs/*' && ";
    f.commit("new" + std::string(version), 40);
    f.reload();
    server.run(f.repo, fetch + "git fsck --full 2>&1");
    REQUIRE(server.reports.back().sent_pack);
    CHECK(server.reports.back().pack.objects == 5);  // commit, two trees, two blobs

    f.run("git reset -q --hard HEAD~3");
    f.commit("other" + std::string(version), 50);
    f.run("git branch b" + std::string(version) + " HEAD~1");
    f.reload();
    server.run(f.repo, fetch + "git fsck --full 2>&1");
    CHECK(server.reports.back().pack.objects == 5);
    CHECK(server.run(f.repo, "git -C m" + std::string(version) + " rev-parse main") ==
          f.repo.output("git -C origin rev-parse main"));
    server.run(f.repo, fetch + "true");
    CHECK_FALSE(server.reports.back().sent_pack);
    CHECK(server.errors.empty());
  }
}

TEST_CASE("a client that has much else negotiates in rounds", "[git_mem][upload_pack]") {
  fixture f;
  f.repo.run("git clone -q --no-tags origin own && git -C own remote rm origin");
  add_commits(f.repo, "own", 100);
  f.commit("new", 40);
  f.reload();
  for (const char* version : {"0", "2"}) {
    git_server server(f.store);
    server.run(f.repo, "cp -r own own" + std::string(version) + " && cd own" + version +
                           " && git -c protocol.version=" + version +
                           " fetch -q $URL main && git fsck --full 2>&1");
    REQUIRE(server.reports.size() == 1);
    CHECK(server.reports.front().pack.objects == 5);
  }
}

TEST_CASE("ls-remote shows refs, peeled tags and where HEAD points", "[git_mem][upload_pack]") {
  fixture f;
  f.run("git symbolic-ref refs/remotes/o/HEAD refs/heads/side && git tag -a -m t tree HEAD:dir");
  for (const bool detached : {false, true}) {
    if (detached) f.run("git checkout -q HEAD~1");
    f.reload();
    snapshot with_symref = *f.store.current();
    for (reference& r : with_symref.refs) {
      if (r.name == "refs/remotes/o/HEAD") r.symbolic_target = "refs/heads/side";
    }
    f.store.publish(std::move(with_symref));
    for (const char* version : {"0", "1", "2"}) {
      git_server server(f.store);
      const std::string command = "git -c protocol.version=" + std::string(version) + " ls-remote ";
      for (const char* what : {"--symref", "--heads", "--tags", "--refs", "--heads --tags"}) {
        CHECK(server.run(f.repo, command + what + " $URL") ==
              f.repo.output(command + what + " file://\"$PWD\"/origin"));
      }
      for (const char* which : {"'v*'", "HEAD", "main", "refs/heads/si*", "nothing"}) {
        CHECK(server.run(f.repo, command + "$URL " + which) ==
              f.repo.output(command + "file://\"$PWD\"/origin " + which));
      }
    }
  }
}

TEST_CASE("a store that knows HEAD alone can be cloned", "[git_mem][upload_pack]") {
  fixture f;
  snapshot only = *f.store.current();
  std::erase_if(only.refs, [](const reference& r) { return r.name != "HEAD"; });
  f.store.publish(std::move(only));
  git_server server(f.store);
  CHECK(server.run(f.repo, "git clone -q $URL it && git -C it log --oneline | wc -l") == "9\n");
}

TEST_CASE("wrong requests are refused in an ERR packet that says why", "[git_mem][upload_pack]") {
  const fixture f;
  const snapshot_ptr s = f.store.current();
  const std::string absent(40, 'a');
  const std::string tip = s->find_ref("refs/heads/main")->id.hex();
  const auto refused = [&](int version, const std::string& request) {
    const talk t = converse(s, request, one_request(version));
    std::string told;
    append_pkt(told, "ERR upload-pack: " + t.error + "\n");
    CHECK(t.answer == told);
    return t.error;
  };
  const auto fetch = [&](std::string_view line) {
    return refused(2, packets({"command=fetch", "0001", line, "0000"}));
  };
  CHECK(fetch("want " + absent) == "not our ref " + absent);
  CHECK(fetch("want xyz") == "unexpected line \"want xyz\"");
  CHECK(fetch("want-ref refs/heads/main") == "unexpected line \"want-ref refs/heads/main\"");
  CHECK(fetch("deepen 0") == "unexpected line \"deepen 0\"");
  CHECK(fetch("deepen -1") == "unexpected line \"deepen -1\"");
  CHECK(fetch("deepen 99999999999") == "unexpected line \"deepen 99999999999\"");
  CHECK(fetch("filter sparse:oid=main") == "filter sparse:oid=main is not supported");
  CHECK(fetch("\x1b[31m") == "unexpected line \"?[31m\"");
  CHECK(refused(2, packets({"command=fetch", "0001", "want " + tip, "deepen-not nowhere",
                            "0000"})) == "deepen-not is not a ref: nowhere");
  CHECK(refused(2, packets({"command=fetch", "0001", "want " + tip, "deepen-since 9000000000",
                            "0000"})) == "no commits selected for shallow requests");
  CHECK(refused(2, packets({"command=fetch", "0001", "deepen 1", "deepen-since 5", "0000"})) ==
        "deepen and deepen-since (or deepen-not) exclude each other");
  CHECK(refused(2, packets({"command=push", "0000"})) == "unknown command \"command=push\"");
  CHECK(refused(2, packets({"command=ls-refs", "object-format=sha256", "0000"})) ==
        "object-format=sha256: only sha1 is supported");
  CHECK(refused(2, packets({"command=ls-refs", "0001", "ref-suffix x", "0000"})) ==
        "unexpected line \"ref-suffix x\"");
  CHECK(refused(2, packets({"command=ls-refs", "0001", "0001", "0000"})) ==
        "unexpected packet in a request");
  CHECK(refused(2, packets({"command=ls-refs"})) == "the client hung up inside a request");
  CHECK(refused(2, "zzzz") == "protocol byte 0: \"zzzz\" is no packet length");
  CHECK(refused(2, "00") == "protocol byte 2: the connection ended inside a packet");
  CHECK(refused(0, packets({"want " + absent + " multi_ack", "0000"})) == "not our ref " + absent);
  CHECK(refused(0, packets({"have " + tip, "0000"})) == "unexpected line \"have " + tip + "\"");
  CHECK(refused(0, packets({"want " + tip, "0000", "want " + tip})) ==
        "unexpected line \"want " + tip + "\"");
}

TEST_CASE("requests are limited in bytes, in ids and in prefixes", "[git_mem][upload_pack]") {
  const fixture f;
  const snapshot_ptr s = f.store.current();
  upload_pack_options o = one_request(2);
  o.limits.ids = 2;
  o.limits.prefixes = 2;
  const std::string tip = "have " + s->find_ref("HEAD")->id.hex();
  const auto error = [&](const std::string& request) { return converse(s, request, o).error; };
  CHECK(error(packets({"command=fetch", "0001", tip, tip, tip, "0000"})) == "more than 2 haves");
  CHECK(error(packets({"command=ls-refs", "0001", "ref-prefix a", "ref-prefix b", "ref-prefix c",
                       "0000"})) == "more than 2 ref prefixes");
  o.limits.request_bytes = 100;
  CHECK(error(packets({"command=fetch", "0001", tip, tip, "0000"})) ==
        "request of more than 100 bytes");
  upload_pack_options classic = one_request(0);
  classic.limits.ids = 1;
  CHECK(converse(s, packets({"want " + tip.substr(5), "0000", tip, tip}), classic).error ==
        "more than 1 haves");
}

TEST_CASE("a client that says nothing is let go", "[git_mem][upload_pack]") {
  const fixture f;
  fermata::test_loop loop(fermata::testing::options_of_run());
  talk t;
  auto streams = fermata::memory_stream_pair(1 << 16);
  loop.run([&] { return serve_memory(f.store.current(), *streams.second, {}, t); });
  CHECK_THAT(t.error, Catch::Contains("timed out") || Catch::Contains("time"));
}

TEST_CASE("a git daemon's request is read, and others are refused", "[git_mem][upload_pack]") {
  CHECK(asked_version("") == 0);
  CHECK(asked_version("version=1") == 1);
  CHECK(asked_version("a:version=2:version=1") == 2);
  CHECK(asked_version("version=20") == 0);
  const fixture f;
  fermata::test_loop loop(fermata::testing::options_of_run());
  const auto ask = [&](std::string line) {
    return loop.run([&]() -> promise<std::string> {
      auto streams = fermata::memory_stream_pair(1 << 16);
      promise<> written = write_text(*streams.first, packets({line}));
      co_await written;
      store_finder find = [&](std::string_view path) -> const object_store* {
        return path == "/x.git" ? &f.store : nullptr;
      };
      co_await streams.first->shutdown();
      promise<upload_report> served = answer_git_daemon(*streams.second, find);
      std::string error;
      try {
        const upload_report r = co_await std::move(served);
        error = "version " + std::to_string(r.version);
      } catch (const failure& e) {
        error = e.what();
      }
      co_return error;
    });
  };
  using namespace std::string_literals;
  CHECK(ask("git-upload-pack /x.git\0host=h\0"s) == "version 0");
  CHECK(ask("git-upload-pack /x.git\0host=h\0\0version=2\0"s) == "version 2");
  CHECK(ask("git-upload-pack /y.git\0host=h\0"s) == "no repository /y.git");
  CHECK(ask("git-receive-pack /x.git\0host=h\0"s) ==
        "git-receive-pack is not served here, this is read only");
  CHECK(ask("hello") == "\"hello\" is no request of git");
}

TEST_CASE("serving looks for waiters at each ref, have and object", "[git_mem][upload_pack]") {
  const fixture f;
  const snapshot_ptr s = f.store.current();
  const auto looks = [&](const std::string& request, int version = 2) {
    fermata::test_loop loop(fermata::testing::options_with(fermata::policy::always()));
    const talk t = loop.run([&] { return say(s, request, one_request(version)); });
    CHECK(t.error == "");
    return loop.metrics().looks;
  };
  const std::string tip = s->find_ref("HEAD")->id.hex();
  CHECK(looks(packets({"command=ls-refs", "0001", "peel", "0000"})) > s->refs.size());
  std::string haves = packets({"command=fetch", "0001", "want " + tip});
  for (int i = 0; i < 500; ++i) append_pkt(haves, "have " + blob_id(std::to_string(i)).hex());
  CHECK(looks(haves + "0000") > 1000);  // each is read, then looked for
  CHECK(looks(packets({"command=fetch", "0001", "want " + tip, "done", "0000"})) >
        s->object_count());
  // Whether the client has told enough is judged anew only where something new is common.
  std::string classic = packets({"want " + tip + " multi_ack_detailed", "0000",
                                 "have " + s->find_ref("refs/heads/side")->id.hex()});
  for (int i = 0; i < 500; ++i) append_pkt(classic, "have " + blob_id(std::to_string(i)).hex());
  CHECK(looks(classic + "0000", 0) < 2500);
}
