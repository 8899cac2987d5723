// SPDX-License-Identifier: MIT
// The real opam client against fermata-mirror.

#include "program_support.hpp"

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

private:
  event_loop& loop_;
  temp_folder home_;
};

}  // namespace

TEST_CASE("opam takes its packages from fermata-mirror", "[mirror][opam]") {
  if (std::system("command -v opam >/dev/null") != 0) {
    std::cout << "skipped: opam\n";
    return;
  }
  const temp_folder folder;
  make_repository(folder);
  mirror_process m({"--remote", (folder.path() / "r").string()});
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
  CHECK(asked.body == "an update begins\n");
  CHECK_THAT(m.line(), Contains(head_of(folder)));
  CHECK(client.run({"update"}).how.is_success());
  const ended show = client.run({"show", "a", "--field=version,synopsis"});
  INFO(show.out << show.err);
  CHECK(show.how.is_success());
  CHECK_THAT(show.out, Contains("3"));
  CHECK(m.stop(SIGTERM).is_success());
}
