// SPDX-License-Identifier: MIT
// The real opam client against fermata-mirror.

#include "program_support.hpp"
#include "support/fixture_upstream.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <iostream>

using namespace fermata;
using namespace fermata::mirror::test;
using Catch::Matchers::Contains;

namespace {

class opam {
public:
  explicit opam(event_loop& loop) : loop_(loop) {}

  ended run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "opam");
    command c(std::move(arguments));
    c.environment = {"OPAMROOT=" + (home_.path() / "root").string(),
                     "HOME=" + home_.path().string(), "OPAMYES=1", "OPAMCOLOR=never", "OPAMSWITCH"};
    return loop_.run([&] { return run_to_end(std::move(c)); });
  }

  /// What a package has installed into the switch `s`.
  [[nodiscard]] std::string shared(const std::string& name) const {
    return fermata::test::read_file(home_.path() / "root/s/share" / name);
  }

private:
  event_loop& loop_;
  temp_folder home_;
};

// A version of the package `hello` whose archive holds `text`.
void add_hello(const temp_folder& folder,
               fermata::test::fixture_upstream& upstream,
               const std::string& version,
               const std::string& text) {
  const std::string name = "hello-" + version;
  const std::string bytes = fermata::test::make_archive(folder, name, text);
  upstream["/" + name + ".tgz"].bytes = bytes;
  const std::string sums = "\"md5=" + fermata::test::sum_of(folder, "md5sum", bytes) +
                           "\" \"sha512=" + fermata::test::sum_of(folder, "sha512sum", bytes) +
                           "\"";
  folder.write("r/packages/hello/hello." + version + "/opam",
               fermata::test::opam_file_with(upstream.url("/" + name + ".tgz"), sums));
  folder.run("cd r && git add . && git commit -q -m " + version);
}

// The hook, and the commit that is served then.
void update(mirror_process& m) {
  m.loop().run(
      [&] { return ask_port(port_of(m.authority()), "POST", "/update", "Content-Length: 0\r\n"); });
}

}  // namespace

TEST_CASE("opam takes its packages from fermata-mirror", "[mirror][opam]") {
  if (std::system("command -v opam >/dev/null") != 0) {
    std::cout << "skipped: opam\n";
    return;
  }
  const temp_folder folder;
  make_repository(folder);
  mirror_process m({"--remote", (folder.path() / "r").string(), "--update-pause", "0"});
  opam client(m.loop());

  // At once: it waits for the first index by itself.
  const ended init = client.run({"init", "--bare", "--disable-sandboxing", "-n", m.url()});
  INFO(init.out << init.err);
  REQUIRE(init.how.is_success());
  const ended list = client.run({"list", "--all", "--short", "--all-versions"});
  CHECK(list.out == "a.1\na.2\nb.1\n");
  const ended unchanged = client.run({"update"});
  CHECK(unchanged.how.is_success());
  CHECK_THAT(unchanged.out + unchanged.err, Contains("no changes"));

  add_commit(folder, "3");
  CHECK_THAT(m.line(), Contains("serving"));
  const answer asked = m.loop().run(
      [&] { return ask_port(port_of(m.authority()), "POST", "/update", "Content-Length: 0\r\n"); });
  CHECK(asked.body == "an update begins\nstate: ready\n");
  CHECK_THAT(m.line(), Contains(head_of(folder)));
  CHECK(client.run({"update"}).how.is_success());
  const ended show = client.run({"show", "a", "--field=version,synopsis"});
  INFO(show.out << show.err);
  CHECK(show.how.is_success());
  CHECK_THAT(show.out, Contains("3"));
  CHECK(m.stop(SIGTERM).is_success());
}

TEST_CASE("opam installs and upgrades from the archives of fermata-mirror, whatever upstream does",
          "[mirror][opam][archives]") {
  if (std::system("command -v opam >/dev/null") != 0) {
    std::cout << "skipped: opam\n";
    return;
  }
  using manner = fermata::test::fixture_upstream::manner;
  const temp_folder folder;
  make_repository(folder);
  mirror_process m({"--remote", (folder.path() / "r").string(), "--update-pause", "0", "--data",
                    (folder.path() / "data").string()});
  CHECK_THAT(m.line(), Contains("serving"));
  std::optional<fermata::test::fixture_upstream> upstream;
  m.loop().run([&] {
    upstream.emplace();
    return ready();
  });
  opam client(m.loop());
  const ended init = client.run({"init", "--bare", "--disable-sandboxing", "-n", m.url()});
  INFO(init.out << init.err);
  REQUIRE(init.how.is_success());
  REQUIRE(client.run({"switch", "create", "s", "--empty"}).how.is_success());

  add_hello(folder, *upstream, "1", "one");
  (*upstream)["/hello-1.tgz"].how = manner::cut_once;
  update(m);
  CHECK_THAT(m.line(), Contains(head_of(folder)));
  REQUIRE(client.run({"update"}).how.is_success());
  const ended install = client.run({"install", "hello"});
  INFO(install.out << install.err);
  REQUIRE(install.how.is_success());
  CHECK(client.shared("hello.txt") == "one");
  CHECK(upstream->asked("/hello-1.tgz") == 2);  // by us, in two parts; never by opam

  add_hello(folder, *upstream, "2", "two");
  update(m);
  CHECK_THAT(m.line(), Contains(head_of(folder)));
  REQUIRE(client.run({"update"}).how.is_success());
  const ended upgrade = client.run({"upgrade"});
  INFO(upgrade.out << upgrade.err);
  REQUIRE(upgrade.how.is_success());
  CHECK(client.shared("hello.txt") == "two");

  for (const manner how : {manner::missing, manner::failing, manner::wrong, manner::cut}) {
    (*upstream)["/hello-1.tgz"].how = (*upstream)["/hello-2.tgz"].how = how;
  }
  std::filesystem::rename(folder.path() / "r", folder.path() / "gone");
  update(m);
  REQUIRE(client.run({"clean", "--download-cache"}).how.is_success());
  const ended back = client.run({"install", "hello.1"});
  INFO(back.out << back.err);
  REQUIRE(back.how.is_success());
  CHECK(client.shared("hello.txt") == "one");
  CHECK(upstream->asked("/hello-1.tgz") == 2);
  CHECK(m.stop(SIGTERM).is_success());
  m.loop().run([&] { return upstream->end(); });
  m.loop().run([&] {
    upstream.reset();
    return ready();
  });
}
