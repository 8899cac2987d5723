// SPDX-License-Identifier: MIT
// The service over time: updates and failures.

#include "service_support.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using nlohmann::json;

TEST_CASE("POST /update brings a new commit", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  s.wait_for("served");
  const std::string before = s.get("/index.tar.gz").field("ETag");
  add_commit(folder, "3");
  const answer asked = s.post("/update");
  CHECK(asked.status == 202);
  CHECK(asked.body == "an update begins\nstate: ready\n");
  CHECK(s.wait_for("served") == "served " + head_of(folder));
  CHECK(s.get("/index.tar.gz").field("ETag") != before);
  CHECK(s.get("/repo").body.find(head_of(folder)) != std::string::npos);
}

TEST_CASE("who asks by date hears of an upstream that went back", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  add_commit(folder, "3");
  // The commit that comes first is of yesterday, so that the dates differ.
  folder.run("cd r && GIT_COMMITTER_DATE='@1700000000 +0000' git commit -q --amend -m old");
  folder.run("git -C r tag old");
  add_commit(folder, "4");
  site s(options_for(folder));
  s.wait_for("served");
  const answer newer = s.get("/index.tar.gz");
  folder.run("git -C r reset -q --hard old");
  s.mirror.ask_update();
  CHECK(s.wait_for("served") == "served " + head_of(folder));
  const std::string asked = "If-Modified-Since: " + newer.field("Last-Modified") + "\r\n";
  const answer older = s.get("/index.tar.gz", asked);
  CHECK(older.status == 200);
  CHECK(older.field("ETag") != newer.field("ETag"));
  CHECK(s.get("/index.tar.gz", "If-Modified-Since: " + older.field("Last-Modified") + "\r\n")
            .status == 304);
}

TEST_CASE("the index after updates is the index of a fresh clone", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  folder.run(
      "cd r/packages && for i in $(seq 300); do mkdir -p p$((i % 7))/p.$i; echo $i > "
      "p$((i % 7))/p.$i/opam; done; mkdir x x.y x0; touch x/a x.y/a x0/a; cd .. && git add . && "
      "git commit -q -m many");
  const std::vector<std::string> changes{
      "rm -r x && echo file > x",
      "rm x && mkdir -p x/deep/er && echo 1 > x/deep/er/a",
      "rm -r x.y",
      "git mv p3 p9",
      "chmod +x b/b.1/opam; ln -s ../a a/link",
      "rm -r p1 p2; mkdir 0 z; echo first > 0/f; echo last > z/f",
      "echo changed > p4/p.11/opam; echo new > p4/p.11/new; rm -r p4/p.18",
      "touch ../README2",  // nothing below packages/
      "rm -r a b p* x* z",
  };
  std::vector<std::shared_ptr<const generation>> made;
  {
    site s(options_for(folder));
    s.wait_for("served");
    for (const std::string& change : changes) {
      folder.run("cd r/packages && " + change + " && cd .. && git add -A . && git commit -q -m c");
      folder.run("git -C r branch step" + std::to_string(made.size()));
      s.mirror.ask_update();
      CHECK(s.wait_for("served") == "served " + head_of(folder));
      made.push_back(s.mirror.current());
    }
  }
  for (std::size_t i = 0; i < changes.size(); ++i) {
    INFO(changes[i]);
    site s(options_for((folder.path() / "r").string() + "#step" + std::to_string(i)));
    s.wait_for("served");
    CHECK(s.mirror.current()->etag == made[i]->etag);
    CHECK(s.mirror.current()->files == made[i]->files);
    CHECK(s.mirror.current()->notes == made[i]->notes);
  }
}

TEST_CASE("an update that finds the same commit builds no index", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  s.wait_for("served");
  CHECK(s.mirror.ask_update());
  s.wait_for("phase fetch");
  s.wait_for("phase release");
  while (s.get("/healthz").body == "updating\n") {
  }
  CHECK(s.get("/healthz").body == "ready\n");
  CHECK(s.happened.count("served") == 1);
  CHECK(s.happened.count("phase index") == 1);
}

TEST_CASE("updates that are asked for during a clone are one more update", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  std::string asked;
  s.happened.listener = [&](const std::string& event) {
    if (!event.starts_with("phase walk")) return;
    for (int i = 0; i < 3; ++i) asked += s.mirror.ask_update() ? "first " : "again ";
  };
  s.wait_for("served");
  s.wait_for("phase release");
  s.get("/healthz");
  CHECK(asked == "first again again ");
  CHECK(s.happened.count("phase clone") == 1);
  CHECK(s.happened.count("phase fetch") == 1);
}

TEST_CASE("what cannot be mirrored is named, and the service stays up", "[mirror][update]") {
  const temp_folder folder;
  folder.run("git init -q --bare empty && mkdir none && git init -q --initial-branch=master r");
  folder.write("r/README", "no opam repository\n");
  folder.run("cd r && git add . && git commit -q -m 1");
  const std::string at = folder.path().string();
  const std::string commit = head_of(folder).substr(0, 12);
  const std::string hung_up =
      ": the server hung up before it said what it has (git says: fatal: '" + at +
      "/none' does "
      "not appear to be a git repository)";
  struct {
    std::string remote;
    std::string message;
  } const cases[] = {
      {at + "/empty", "cannot index " + at + "/empty: the repository is empty: it has no commit"},
      {at + "/none", "cannot clone " + at + "/none" + hung_up},
      {at + "/r#absent", "cannot clone " + at + "/r: branch \"absent\" is not in the repository"},
      {at + "/r", "cannot index " + at + "/r: commit " + commit +
                      ": it has no folder packages/, so it is no opam repository"},
      {"git://127.0.0.1:1/r",
       "cannot clone git://127.0.0.1:1/r: cannot connect to 127.0.0.1:1: connection refused (uv "
       "ECONNREFUSED)"},
  };
  for (const auto& c : cases) {
    INFO(c.remote);
    site s(options_for(c.remote));
    s.wait_for("error");
    const json status = json::parse(s.get("/status.json").body);
    CHECK(status["error"]["message"] == c.message);
    CHECK(status["error"]["tries"] == 1);
    CHECK(status["error"]["since"].is_string());
    CHECK(status["error"]["next_try"].is_string());
    CHECK(status["state"] == "starting");
    CHECK(s.get("/healthz").status == 200);
    const answer data = s.get("/index.tar.gz");
    CHECK(data.status == 503);
    CHECK(data.field("Retry-After") == "30");
    CHECK(data.body == "no index yet: starting\n" + c.message + "\n");
    CHECK(s.get("/status").status == 200);
  }
}

TEST_CASE("a repository of more than any mirror could hold is refused", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  s.wait_for("served");
  const answer before = s.get("/index.tar.gz");
  folder.run(R"sh(cd r && blob=$(head -c 100000000 /dev/zero | git hash-object -w --stdin)
    entry="100644 blob $blob"
    for level in 1 2; do
      tree=$(for i in 1 2 3 4 5 6 7 8 9 a b c d e f g; do printf '%s\t%s\n' "$entry" $i; done |
        git mktree)
      entry="040000 tree $tree"
    done
    tree=$(printf '040000 tree %s\tpackages\n' $tree | git mktree)
    git update-ref refs/heads/master $(git commit-tree -p HEAD -m bomb $tree))sh");
  s.mirror.ask_update();
  CHECK_THAT(s.wait_for("error"), Contains("packages: its files are more than 16 GiB"));
  CHECK(s.get("/index.tar.gz").body == before.body);
}

TEST_CASE("a remote that cannot be used is refused at once", "[mirror][update]") {
  const event_loop loop(testing::options_of_run());
  CHECK_THROWS_WITH(service(options_for("svn://example.org/r")),
                    "cannot use svn://example.org/r: unknown scheme svn");
}

TEST_CASE("a failure is tried again with growing delays", "[mirror][update]") {
  const temp_folder folder;
  service_options options = options_for(folder.path().string() + "/none");
  options.first_delay = 1ms;
  options.longest_delay = 3ms;
  options.jitter = 0;
  site s(std::move(options));
  CHECK(s.wait_for("error").ends_with("(try 1, next in 1 ms)"));
  CHECK(s.wait_for("error").ends_with("(try 2, next in 2 ms)"));
  CHECK(s.wait_for("error").ends_with("(try 3, next in 3 ms)"));
  CHECK(s.wait_for("error").ends_with("(try 4, next in 3 ms)"));
}

TEST_CASE("a service recovers from a failure", "[mirror][update]") {
  const temp_folder folder;
  site s(options_for(folder));
  s.wait_for("error");
  make_repository(folder);
  CHECK(s.post("/update").status == 202);
  s.wait_for("served");
  const json status = json::parse(s.get("/status.json").body);
  CHECK(status["state"] == "ready");
  CHECK(status["error"]["message"].is_null());
  CHECK(status["error"]["tries"].is_null());
}

TEST_CASE("the old index is served while updates fail", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  site s(options_for(folder));
  s.wait_for("served");
  const answer before = s.get("/index.tar.gz");
  folder.run("mv r away");
  s.mirror.ask_update();
  CHECK_THAT(s.wait_for("error"), StartsWith("error cannot fetch "));
  const answer after = s.get("/index.tar.gz");
  CHECK(after.status == 200);
  CHECK(after.body == before.body);
  CHECK(s.get("/readyz").status == 200);
  const json status = json::parse(s.get("/status.json").body);
  CHECK(status["state"] == "ready");
  CHECK(status["error"]["tries"] == 1);
}

TEST_CASE("a reader who has begun gets the old index to its end", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  folder.run(
      "head -c 12000000 /dev/urandom > r/packages/big && cd r && git add . && "
      "git commit -q -m big");
  site s(options_for(folder));
  s.wait_for("served");
  const std::shared_ptr<const generation> old = s.mirror.current();
  const std::string old_bytes(reinterpret_cast<const char*>(old->index.data()), old->index.size());
  std::unique_ptr<byte_stream> reader =
      s.loop.run([&] { return tcp_connect("127.0.0.1", s.port(), connect_options()); });
  s.loop.run([&] { return write_text(*reader, request_text("GET", "/index.tar.gz", "")); });
  std::string got(1, '\0');
  s.loop.run([&] { return read_exactly(*reader, std::as_writable_bytes(std::span<char>(got))); });
  add_commit(folder, "3");
  s.mirror.ask_update();
  s.wait_for("served");
  CHECK(s.mirror.current()->commit == head_of(folder));
  const answer fresh = s.get("/repo");
  CHECK(fresh.body.find(head_of(folder)) != std::string::npos);
  got += s.loop.run([&] { return read_to_end(*reader, std::size_t{64} << 20); });
  const answer late = read_answer(got);
  CHECK(late.field("ETag") == old->etag);
  CHECK(late.body == old_bytes);
}

TEST_CASE("a cancel ends the work in the middle of any phase", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  for (const char* phase : {"phase clone", "phase walk", "phase index", "phase release"}) {
    INFO(phase);
    site s(options_for(folder));
    s.happened.listener = [&](const std::string& event) {
      if (event.starts_with(phase)) cancel(s.working);
    };
    promise<> ended = s.working.catch_([](std::exception_ptr) { return ready(); });
    s.loop.run([&] { return ended; });
    CHECK(is_cancelled(s.working.error()));
  }
}

TEST_CASE("an update comes by itself when the interval is over", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_for(folder);
  options.update_interval = 1ms;
  site s(std::move(options));
  s.wait_for("served");
  add_commit(folder, "3");
  CHECK(s.wait_for("served") == "served " + head_of(folder));
}

TEST_CASE("an update that takes too long is given up, and the next is not", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  event_loop aside(testing::options_of_run());
  const tcp_listener silent = aside.run([] { return tcp_listener("127.0.0.1:0"); });
  service_options options = options_for("git://" + silent.address() + "/r");
  options.update_time = 5ms;
  options.first_delay = 1ms;
  options.jitter = 0;
  site s(std::move(options));
  CHECK_THAT(s.wait_for("error"),
             Contains("/r was given up: it took over 5ms (try 1, next in 1 ms)"));
  CHECK_THAT(s.wait_for("error"), Contains("(try 2, next in 2 ms)"));
}

TEST_CASE("who asks for updates too often waits, and the update comes once", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_for(folder);
  options.update_pause = 1h;
  site s(std::move(options));
  s.wait_for("served");
  CHECK(s.post("/update").body == "an update begins in 3600 s\nstate: ready\n");
  CHECK(s.post("/update").body == "an update is asked for already\nstate: ready\n");
  answer last;
  for (int i = 0; i < 40 && last.status != 429; ++i) last = s.post("/update");
  CHECK(last.status == 429);
  CHECK(last.body == "too many requests\n");
  CHECK(last.field("Retry-After") == "2");
}

TEST_CASE("an update needs the secret, in one of the ways of webhooks", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_for(folder);
  options.update_secret = "It's a Secret to Everybody";
  options.update_path = "/hook";
  options.http.limits.body_bytes = 100'000;
  site s(std::move(options));
  const auto ask = [&](const std::string& fields, const std::string& body = "Hello, World!") {
    return s.loop.run([&] {
      return ask_port(s.port(), "POST", "/hook",
                      "Content-Length: " + std::to_string(body.size()) + "\r\n" + fields, body);
    });
  };
  // The example of GitHub's documentation.
  const std::string sum = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  CHECK(ask("X-Hub-Signature-256: sha256=" + sum + "\r\n").status == 202);
  CHECK(ask("X-Gitea-Signature: " + sum + "\r\n").status == 202);
  const std::string form = "Content-Type: application/x-www-form-urlencoded\r\n";
  CHECK(ask(form + "X-GitHub-Event: push\r\nX-Hub-Signature-256: sha256=" + sum + "\r\n").status ==
        202);
  CHECK(ask("X-Update-Secret: It's a Secret to Everybody\r\n").status == 202);
  CHECK(ask("Authorization: bEARER It's a Secret to Everybody\r\n").status == 202);
  CHECK(ask("X-GitHub-Event: ping\r\nX-Hub-Signature-256: sha256=" + sum + "\r\n").body ==
        "the hook is right\n");

  CHECK(ask("").body == "no update: it needs the secret\n");
  CHECK(ask("").status == 403);
  CHECK(ask("X-Hub-Signature-256: sha256=" + sum + "\r\n", "Hello, World?").body ==
        "no update: the signature is wrong\n");
  CHECK(ask("X-Hub-Signature-256: " + sum + "\r\n").status == 403);
  CHECK(ask("X-Gitea-Signature: \r\n").status == 403);
  CHECK(ask("X-Update-Secret: It's a Secret to Nobody\r\n").body ==
        "no update: the secret is wrong\n");
  CHECK(s.post("/update").status == 404);

  // Others cannot use up what the hook needs.
  answer last;
  for (int i = 0; i < 40 && last.status != 429; ++i) last = ask("");
  CHECK(last.status == 429);
  CHECK(last.field("Retry-After") == "2");
  CHECK(ask("X-Hub-Signature-256: sha256=" + sum + "\r\n").status == 202);
  const std::string long_body(70'000, 'x');  // is not hashed for them
  CHECK(ask("X-Hub-Signature-256: sha256=" + sum + "\r\n", long_body).status == 429);
}
