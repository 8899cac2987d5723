// SPDX-License-Identifier: MIT
// Clones and fetches over HTTP, HTTPS and ssh: a real `git http-backend` behind our own server, and
// a command that stands for ssh and runs what it is asked to.

#include "support/git_http_server.hpp"
#include "support/policy.hpp"
#include "support/random_repository.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/fetch.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/promise/run_command.hpp>

#include <catch2/catch.hpp>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::event_loop;
using fermata::promise;

namespace http = fermata::http;

namespace {

struct upstream {
  upstream() {
    repo.run("mkdir r");
    work("git init -q -b main . && seq 1 3000 > numbers && git add . && git commit -qm 1");
    work("git config http.receivepack true");
  }
  void work(const std::string& command) const { repo.run("cd r && " + command); }
  [[nodiscard]] std::string rev(const std::string& name) const {
    return repo.output("cd r && git rev-parse '" + name + "'").substr(0, 40);
  }
  [[nodiscard]] std::string root() const { return repo.path().string(); }
  temp_folder repo;
};

clone_options direct() {
  clone_options o;
  o.remote.http.proxy = "";
  o.remote.http.use_netrc = false;
  return o;
}

std::string error_of(event_loop& loop, const std::string& url, clone_options o = direct()) {
  return loop.run([&]() -> promise<std::string> {
    promise<clone_result> cloning = clone(url, o);
    try {
      const clone_result got = co_await std::move(cloning);
      co_return "";
    } catch (const fermata::error& e) {
      co_return e.what();
    }
  });
}

clone_result clone_of(event_loop& loop, const std::string& url, clone_options o = direct()) {
  return loop.run([&] { return clone(url, o); });
}

http::response moved(const std::string& to) {
  http::response out(302);
  out.headers.add("Location", to);
  return out;
}

}  // namespace

TEST_CASE("clone speaks HTTP with git http-backend, in protocols 2 and 0", "[git_mem][transport]") {
  const upstream u;
  const int version = GENERATE(2, 0);
  event_loop loop(fermata::testing::options_of_run());
  git_http_server s(u.root());
  s.version = version;
  clone_options o = direct();
  o.depth = 0;
  const clone_result got = clone_of(loop, s.url("/r"), o);
  CHECK(got.tip.hex() == u.rev("main"));
  CHECK(got.ref == "refs/heads/main");
  CHECK(got.protocol_version == version);
  CHECK(got.objects->object_count() == 3);
  std::vector<std::string> expected = {"GET /r/info/refs?service=git-upload-pack",
                                       "POST /r/git-upload-pack"};
  if (version == 2) expected.push_back(expected.back());  // the refs are asked for
  CHECK(s.asked == expected);
}

TEST_CASE("fetch over HTTP brings what is new", "[git_mem][transport]") {
  const upstream u;
  event_loop loop(fermata::testing::options_of_run());
  git_http_server s(u.root());
  object_store store;
  clone_options o = direct();
  o.remote.http_client = std::make_shared<http::client>();
  const auto fetch_now = [&] {
    return loop.run([&] { return fetch(store, s.url("/r#main"), o); });
  };
  CHECK(fetch_now().tip.hex() == u.rev("main"));
  u.work("seq 2 3000 > numbers && git commit -qam 2");
  const fetch_result second = fetch_now();
  CHECK(second.tip.hex() == u.rev("main"));
  CHECK(second.progress.objects_total == 3);
  CHECK_FALSE(fetch_now().has_new);
}

TEST_CASE("clone speaks HTTPS and checks who is there", "[git_mem][transport][tls]") {
  const upstream u;
  u.work("head -c 9000000 /dev/urandom > large && git add . && git commit -qm large");
  const tls_identity who;
  event_loop loop(fermata::testing::options_of_run());
  git_http_server s(u.root(), {}, &who);
  clone_options o = direct();
  const std::string unknown = error_of(loop, s.url("/r"), o);
  CHECK_THAT(unknown, Catch::StartsWith("cannot clone " + s.url("/r") + ": cannot get "));
  CHECK_THAT(unknown, Catch::Contains("certificate"));
  o.remote.http.ca_file = who.ca_file();
  const clone_result got = clone_of(loop, s.url("/r"), o);
  CHECK(got.tip.hex() == u.rev("main"));
  CHECK(got.progress.bytes_received > 9'000'000);

  fermata::command program({binary_dir() + "/bin/fermata-git", "clone", s.url("/r")});
  program.environment = {"GIT_SSL_CAINFO=" + who.ca_file(), "no_proxy=127.0.0.1"};
  const fermata::run_result ran = loop.run([&] { return fermata::run_command(program); });
  CHECK(ran.out == "refs/heads/main " + u.rev("main") + "\n");
  CHECK(ran.err.empty());
}

TEST_CASE("a first request is redirected as git lets it be, and what follows goes there",
          "[git_mem][transport]") {
  const upstream u;
  event_loop loop(fermata::testing::options_of_run());
  git_http_server real(u.root());
  std::string to;
  git_http_server s(u.root(), [&](const http::request&) { return std::optional(moved(to)); });
  const std::string tail = "/info/refs?service=git-upload-pack";
  to = real.url("/r" + tail);
  const std::string with_secret = "http://u:secret@" + s.address() + "/old";
  CHECK(clone_of(loop, with_secret).tip.hex() == u.rev("main"));
  CHECK(s.asked == std::vector<std::string>{"GET /old" + tail});
  CHECK(s.fields == std::vector<std::string>{"Basic dTpzZWNyZXQ="});
  CHECK(real.asked.size() == 3);
  CHECK(real.fields == std::vector<std::string>{"", "", ""});  // another origin

  to = real.url("/elsewhere");
  CHECK_THAT(error_of(loop, s.url("/r")), Catch::Contains("status 404"));
  git_http_server page(u.root(), [](const http::request&) {
    return std::optional(http::text_response(200, "hello"));
  });
  to = page.url("/hello");
  CHECK_THAT(error_of(loop, s.url("/r")), Catch::Contains("it serves files, or no git"));
}

TEST_CASE("what a server answers in place of git is told", "[git_mem][transport]") {
  const upstream u;
  event_loop loop(fermata::testing::options_of_run());
  int status = 0;
  bool at_post = false;
  git_http_server s(u.root(), [&](const http::request& r) -> std::optional<http::response> {
    if (at_post != (r.method() == "POST")) return std::nullopt;
    return http::text_response(status, "because\x1b[31m\n");
  });
  const std::string begin = "cannot clone " + s.url("/r") + ": ";
  const auto at = [&](int code) {
    status = code;
    return error_of(loop, "http://u:secret@" + s.address() + "/r");
  };
  CHECK(at(401) == begin + "status 401: it wants credentials, or other ones: because?[31m");
  CHECK(at(403) == begin + "status 403: forbidden: because?[31m");
  CHECK(at(404) == begin + "status 404: no repository is there: because?[31m");
  CHECK(at(503) == begin + "status 503 from " + s.url("/r/info/refs?service=git-upload-pack") +
                       ": because?[31m");
  CHECK(at(200) ==
        begin +
            "it serves files, or no git (\"text/plain; charset=utf-8\"): only smart HTTP is "
            "spoken");
  at_post = true;
  CHECK(at(302) == begin + "status 302 from " + s.url("/r/git-upload-pack") + ": because?[31m");
  CHECK(error_of(loop, "http://127.0.0.1:1/r").find("cannot clone http://127.0.0.1:1/r: ") == 0);
}

TEST_CASE("a server that stops in the middle of its answer is told", "[git_mem][transport]") {
  const upstream u;
  event_loop loop(fermata::testing::options_of_run());
  git_http_server s(u.root(), [&](const http::request& r) -> std::optional<http::response> {
    if (r.method() != "POST" || r.body().find("want ") == std::string::npos) return std::nullopt;
    http::response out(200);
    out.headers.add("Content-Type", "application/x-git-upload-pack-result");
    std::string body;
    append_pkt(body, "packfile\n");
    append_pkt(body, std::string("\1PACK\0\0\0\2", 9));
    out.body = http::shared_bytes(std::move(body));
    return out;
  });
  CHECK(error_of(loop, s.url("/r")) ==
        "cannot clone " + s.url("/r") + ": the server hung up after 8 bytes of the pack");
}

TEST_CASE("clone goes over ssh as GIT_SSH_COMMAND says", "[git_mem][transport]") {
  const upstream u;
  u.repo.write("ssh",
               "#!/bin/sh\necho \"$@\" >> \"$(dirname \"$0\")/said\"\n"
               "for last; do :; done\nPATH=\"$PATH:$(git --exec-path)\"\nexec sh -c \"$last\"\n");
  u.repo.run("chmod +x ssh && mv r \"it's r\"");
  const std::string program = (u.repo.path() / "ssh").string();
  const bool by_command = GENERATE(true, false);
  const char* variable = by_command ? "GIT_SSH_COMMAND" : "GIT_SSH";
  ::setenv(variable, (by_command ? "'" + program + "' -v" : program).c_str(), 1);
  event_loop loop(fermata::testing::options_of_run());
  const std::string path = u.root() + "/it's r";
  const std::string tip = u.repo.output("cd it*r && git rev-parse main").substr(0, 40);
  const clone_result got = clone_of(loop, "git@example.org:" + path);
  CHECK(got.tip.hex() == tip);
  CHECK(got.protocol_version == 2);
  const clone_result other = clone_of(loop, "ssh://example.org:2222" + u.root() + "/it's%20r");
  CHECK(other.tip.hex() == tip);
  const std::string none = error_of(loop, "ssh://example.org/none");
  ::unsetenv(variable);
  CHECK_THAT(none, Catch::Contains("git says: fatal: '/none' does not appear to be a git"));
  const std::string v = by_command ? "-v " : "";
  const std::string said = u.root() + "/it'\\''s r'\n";
  CHECK(u.repo.output("head -2 said") ==
        v + "-o SendEnv=GIT_PROTOCOL git@example.org git-upload-pack '" + said + v +
            "-o SendEnv=GIT_PROTOCOL -p 2222 example.org git-upload-pack '" + said);
}
