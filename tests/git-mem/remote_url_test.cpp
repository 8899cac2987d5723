// SPDX-License-Identifier: MIT
#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/remote_url.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace fermata::git_mem;

TEST_CASE("remote_url reads git URLs and local paths", "[git_mem][url]") {
  const remote_url a = remote_url::parse("git://example.org/opam.git#master");
  CHECK(a.by == remote_url::transport::git);
  CHECK(a.host == "example.org");
  CHECK(a.port == 9418);
  CHECK(a.path == "/opam.git");
  CHECK(a.branch == "master");
  CHECK(a.text == "git://example.org/opam.git");
  const remote_url b = remote_url::parse("git://[::1]:9999/a%20b");
  CHECK(b.host == "::1");
  CHECK(b.port == 9999);
  CHECK(b.path == "/a b");
  CHECK(remote_url::parse("git://h/~user/repo").path == "~user/repo");
  CHECK(remote_url::parse("file:///srv/repo").path == "/srv/repo");
  CHECK(remote_url::parse("/srv/repo#b").path == "/srv/repo");
  CHECK(remote_url::parse("relative/re:po").path == "relative/re:po");
  CHECK(remote_url::parse("-x").path == "./-x");
}

TEST_CASE("without_secrets leaves of a URL what may be shown", "[git_mem][url]") {
  CHECK(without_secrets("https://u:p@ss@example.org/a@b") == "https://example.org/a@b");
  CHECK(without_secrets("https://token@example.org") == "https://example.org");
  CHECK(without_secrets("https://example.org/@") == "https://example.org/@");
  CHECK(without_secrets("git@example.org:a") == "git@example.org:a");
  CHECK(without_secrets("").empty());
}

TEST_CASE("remote_url reads http, ssh and the forms of scp", "[git_mem][url]") {
  using transport = remote_url::transport;
  const remote_url a = remote_url::parse("https://u:p%40ss@example.org:8443/r.git/#main");
  CHECK(a.by == transport::http);
  CHECK(a.path == "https://example.org:8443/r.git");
  CHECK(a.user == "u");
  CHECK(a.password == "p@ss");
  CHECK(a.branch == "main");
  CHECK(a.text == "https://example.org:8443/r.git/");
  const remote_url b = remote_url::parse("ssh://git@[::1]:22/srv/a%20b");
  CHECK(b.by == transport::ssh);
  CHECK(b.user == "git");
  CHECK(b.host == "::1");
  CHECK(b.port == 22);
  CHECK(b.path == "/srv/a b");
  CHECK(remote_url::parse("ssh://h/~u/r").path == "~u/r");
  CHECK(remote_url::parse("ssh://h/r").port == 0);
  const remote_url c = remote_url::parse("git@github.com:ocaml/opam.git#master");
  CHECK(c.by == transport::ssh);
  CHECK(c.user == "git");
  CHECK(c.host == "github.com");
  CHECK(c.path == "ocaml/opam.git");
  CHECK(c.branch == "master");
  CHECK(remote_url::parse("[::1]:r").host == "::1");
  const remote_url d = remote_url::parse("[git@host:33]:r");
  CHECK(d.user == "git");
  CHECK(d.host == "host");
  CHECK(d.port == 33);
  CHECK(d.path == "r");
  CHECK(remote_url::parse("[host]:r").port == 0);
  CHECK(remote_url::parse("./h:r").by == transport::local);
}

TEST_CASE("remote_url refuses what it cannot use, and shows no password", "[git_mem][url]") {
  const auto refused = [](const std::string& text) {
    try {
      static_cast<void>(remote_url::parse(text));
    } catch (const failure& f) {
      return std::string(f.what());
    }
    return std::string();
  };
  CHECK(refused("https://u:secret@/r.git") == "cannot use https:///r.git: no host");
  CHECK(refused("http://:80/r") == "cannot use http://:80/r: no host");
  CHECK(refused("http://h/r?x") == "cannot use http://h/r?x: a repository has no '?'");
  CHECK(refused("ssh://u:secret@h/r") == "cannot use ssh://h/r: ssh takes no password");
  CHECK(refused("ssh://-oProxyCommand=x/r") == "cannot use ssh://-oProxyCommand=x/r: no host");
  CHECK(refused("ssh://-u@h/r") == "cannot use ssh://h/r: no user");
  CHECK(refused("ssh://h:x/r") == "cannot use ssh://h:x/r: its port is no number from 1 to 65535");
  CHECK(refused("ssh://h") == "cannot use ssh://h: no path");
  CHECK(refused("h:-r") == "cannot use h:-r: its path begins with '-'");
  CHECK(refused("h:") == "cannot use h:: no path");
  CHECK(refused("-oProxyCommand=x:r") == "cannot use -oProxyCommand=x:r: no host");
  CHECK(refused("ext::sh -c ls") == "cannot use ext::sh -c ls: helpers of git are not run");
  CHECK(refused("git://u@h/r") == "cannot use git://h/r: git:// knows no users");
  CHECK(refused("svn://h/r") == "cannot use svn://h/r: unknown scheme svn");
  CHECK(refused("") == "cannot use an empty address: nothing is there");
  CHECK(refused("git://h") == "cannot use git://h: no path");
  CHECK(refused("git://h/") == "cannot use git://h/: no path");
  CHECK(refused("git:///r") == "cannot use git:///r: no host");
  CHECK(refused("git://-h/r") == "cannot use git://-h/r: no host");
  CHECK(refused("git://h:0/r") == "cannot use git://h:0/r: its port is no number from 1 to 65535");
  CHECK(refused("git://h:99999/r") ==
        "cannot use git://h:99999/r: its port is no number from 1 to 65535");
  CHECK(refused("git://h/r%00x") == "cannot use git://h/r%00x: control characters in its path");
  CHECK(refused("git://h/r%0a") == "cannot use git://h/r%0a: control characters in its path");
  CHECK(refused("/srv/r#") == "cannot use /srv/r#: no branch after '#'");
  CHECK(refused("file://host/r") ==
        "cannot use file://host/r: file:// needs an absolute path: file:///path");
}

TEST_CASE("daemon_request names the host and asks for version 2", "[git_mem][url]") {
  const std::string request = daemon_request(remote_url::parse("git://h:1234/r"));
  CHECK(request == std::string("002egit-upload-pack /r\0host=h:1234\0\0version=2\0", 0x2e));
}
