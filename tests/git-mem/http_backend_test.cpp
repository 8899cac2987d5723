// SPDX-License-Identifier: MIT
// Real git over HTTP against a store of ours.

#include "support/git_server.hpp"

#include <fermata/git_mem/http_backend.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/http/server.hpp>

#include <catch2/catch.hpp>

#include <random>
#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;

namespace {

class site {
public:
  site() : loop(fermata::testing::options_of_run()) {
    repo.run("git init -q -b main origin && cd origin && git config uploadpack.allowFilter true");
    for (int i = 0; i < 3; ++i) commit("c" + std::to_string(i));
    repo.run("cd origin && git tag -a -m t v1");
    load_repository(repo, "origin", store);
    options.on_served = [this](const upload_report& r) { served.push_back(r); };
    mount_repository(
        routes, "/r.git", [this] { return ready ? store.current() : snapshot_ptr(); }, options);
  }
  void commit(const std::string& name) const {
    repo.write("origin/dir/" + name, name);
    repo.run("cd origin && git add -A && git commit -qm " + name);
  }
  // A shell command while the server runs; $URL is the repository.
  fermata::run_result attempt(std::string shell) {
    return loop.run([&] { return serve_during(shell); });
  }
  std::string run(const std::string& shell) {
    const fermata::run_result r = attempt(shell);
    INFO(shell << ": " << r.out << r.err);
    CHECK(r.status.is_success());
    return r.out;
  }

  temp_folder repo;
  object_store store;
  bool ready = true;
  http_backend_options options;
  std::vector<upload_report> served;
  fermata::event_loop loop;

private:
  promise<fermata::run_result> serve_during(const std::string& shell) {
    fermata::http::server_options limits;
    limits.limits.body_bytes = 1 << 20;
    fermata::http::server server([this](const fermata::http::request& r) { return routes(r); },
                                 limits);
    const std::string address = server.listen("127.0.0.1:0");
    fermata::command c({"sh", "-ec", shell});
    c.directory = repo.path().string();
    c.environment = {"URL=http://" + address + "/r.git",
                     "HOME=" + repo.path().string(),
                     "GIT_CONFIG_NOSYSTEM=1",
                     "GIT_TERMINAL_PROMPT=0",
                     "LC_ALL=C",
                     "no_proxy=*",
                     "GIT_AUTHOR_NAME=a",
                     "GIT_AUTHOR_EMAIL=a@b",
                     "GIT_COMMITTER_NAME=a",
                     "GIT_COMMITTER_EMAIL=a@b"};
    promise<fermata::run_result> running = fermata::run_command(c);
    const fermata::run_result r = co_await std::move(running);
    promise<> ended = server.shutdown(std::chrono::seconds(5));
    co_await ended;
    co_return r;
  }

  fermata::http::router routes;
};

}  // namespace

TEST_CASE("git clones and fetches over HTTP", "[git_mem][http_backend]") {
  site s;
  const std::string objects = "git cat-file --batch-all-objects --batch-check";
  const std::string wanted = s.repo.output("cd origin && " + objects);
  for (const char* version : {"0", "1", "2"}) {
    const std::string git = "git -c protocol.version=" + std::string(version) + " ";
    const std::string to = "v" + std::string(version);
    CHECK(s.run(git + "clone -q $URL " + to + " && cd " + to + " && git fsck --strict 2>&1 && " +
                objects) == wanted);
    CHECK(s.served.back().version == std::stoi(version));
    s.run(git + "clone -q --depth=2 $URL cut" + to + " && git -C cut" + to +
          " -c protocol.version=" + version + " fetch -q --unshallow");
    CHECK(s.run("cd cut" + to + " && git fsck --strict 2>&1 && " + objects) == wanted);
  }
  s.commit("new");
  load_repository(s.repo, "origin", s.store);
  for (const char* version : {"0", "2"}) {
    s.run("cd v" + std::string(version) + " && git -c protocol.version=" + version +
          " fetch -q $URL main 2>&1");
    CHECK(s.served.back().pack.objects == 4);  // commit, two trees, a blob
  }
}

TEST_CASE("a large request over HTTP comes compressed and in rounds", "[git_mem][http_backend]") {
  site s;
  s.repo.run("git clone -q --no-tags origin own && git -C own remote rm origin");
  add_commits(s.repo, "own", 100);
  s.commit("new");
  load_repository(s.repo, "origin", s.store);
  for (const char* version : {"0", "2"}) {
    const std::string log = s.run("cp -r own o" + std::string(version) + " && cd o" + version +
                                  " && GIT_CURL_VERBOSE=1 git -c protocol.version=" + version +
                                  " fetch -q $URL main 2>&1");
    CHECK_THAT(log, Catch::Contains("ontent-Encoding: gzip"));
    CHECK(s.served.back().pack.objects == 4);
  }
}

TEST_CASE("what is not served over HTTP is refused with the reason", "[git_mem][http_backend]") {
  site s;
  const std::string curl = "curl -sS -w ' %{http_code}' ";
  const std::string post = curl + "-H 'Content-Type: application/x-git-upload-pack-request' ";
  CHECK(s.run(curl + "$URL/info/refs") == "only git's smart protocol is served here\n 403");
  CHECK(s.run(curl + "\"$URL/info/refs?service=git-receive-pack\"") ==
        "this repository is read only: it takes no push\n 403");
  CHECK(s.run(curl + "-d x $URL/git-receive-pack") ==
        "this repository is read only: it takes no push\n 403");
  CHECK(s.run(curl + "$URL/HEAD") ==
        "there is no such path in a repository of git's smart protocol\n 404");
  CHECK(s.run(curl + "-d x $URL/objects") ==
        "there is no such path in a repository of git's smart protocol\n 404");
  CHECK(s.run(curl + "-d x $URL/git-upload-pack") ==
        "the request is no application/x-git-upload-pack-request\n 415");
  CHECK(s.run(post + "-H 'Content-Encoding: br' -d x $URL/git-upload-pack") ==
        "of content codings only gzip is understood\n 415");
  CHECK(s.run(post + "-H 'Content-Encoding: gzip' -d xxxx $URL/git-upload-pack") ==
        "the request is damaged gzip data, or too large\n 400");
  CHECK(s.run("head -c 40000000 /dev/zero | gzip -9 > bomb; " + post +
              "-H 'Content-Encoding: gzip' --data-binary @bomb $URL/git-upload-pack") ==
        "the request is damaged gzip data, or too large\n 400");
  CHECK(s.run(post + "-d zzzz $URL/git-upload-pack") ==
        "0041ERR upload-pack: protocol byte 0: \"zzzz\" is no packet length\n 200");
  const fermata::run_result push = s.attempt("git -C origin push $URL main");
  CHECK_FALSE(push.status.is_success());
  CHECK(push.err.find("403") != std::string::npos);
  s.ready = false;
  CHECK(s.run(curl + "\"$URL/info/refs?service=git-upload-pack\"") ==
        "this repository is not there yet\n 503");
}

TEST_CASE("a client that leaves ends the work for it", "[git_mem][http_backend]") {
  site s;
  std::string noise(9 << 20, '\0');  // more than sockets hold of a slow reader
  std::mt19937 random(5);
  for (char& c : noise) c = static_cast<char>(random());
  s.repo.write("origin/noise", noise);
  s.commit("noise");
  load_repository(s.repo, "origin", s.store);
  std::string request;
  append_pkt(request, "command=fetch");
  request += "0001";
  append_pkt(request, "want " + s.store.current()->find_ref("HEAD")->id.hex());
  append_pkt(request, "done");
  request += "0000";
  s.repo.write("request", request);
  const std::string what =
      "-s -H 'Git-Protocol: version=2' -H 'Content-Type: "
      "application/x-git-upload-pack-request' "
      "--data-binary @request $URL/git-upload-pack ";
  s.run("curl --limit-rate 200k " + what + "| head -c 100 >/dev/null");
  CHECK(s.served.empty());
  CHECK(s.run("curl " + what + "| wc -c").size() == 8);
  CHECK(s.served.size() == 1);
}
