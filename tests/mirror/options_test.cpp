// SPDX-License-Identifier: MIT
#include <fermata/mirror/options.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace fermata::mirror;
using fermata::policy;

namespace {

mirror_options parsed(const std::vector<std::string>& arguments) {
  const auto result = parse_options(arguments, "1.2.3");
  if (const auto* said = std::get_if<exit_message>(&result)) FAIL(said->text);
  return std::get<mirror_options>(result);
}
std::string refused(const std::vector<std::string>& arguments) {
  const auto result = parse_options(arguments, "1.2.3");
  REQUIRE(std::holds_alternative<exit_message>(result));
  const auto& said = std::get<exit_message>(result);
  CHECK(said.status == 2);
  return said.text;
}

}  // namespace

TEST_CASE("help fits one screen and shows the defaults", "[mirror][options]") {
  const auto result = parse_options({"--help"}, "1.2.3");
  const auto& said = std::get<exit_message>(result);
  CHECK(said.status == 0);
  CHECK(said.text ==
        "usage: fermata-mirror --remote <url[#branch]> [options]\n"
        "\n"
        "Serves an opam repository over HTTP, also while it is being cloned and indexed.\n"
        "\n"
        "  --remote <url[#branch]>   a git repository: git://host/path, or a local path\n"
        "  --listen <address:port>   where to serve, port 0 is any free one  [127.0.0.1:8080]\n"
        "  --policy <policy>         when work gives the thread back         [budget=500]\n"
        "                            greedy, each_bind, quanta=<n>, budget=<microseconds>, always\n"
        "  --depth <n>               commits to clone, 0 is the whole history  [1]\n"
        "  --data <folder>           keeps the last index, serves it at once after a restart\n"
        "  --help                    this text\n"
        "  --version                 name and version\n"
        "\n"
        "Then: opam init --bare -n http://127.0.0.1:8080, or look at http://127.0.0.1:8080/status\n"
        "\n"
        "exit status: 0 stopped by a signal, 1 cannot start or serve, 2 wrong usage\n");
}

TEST_CASE("version is one line", "[mirror][options]") {
  const auto result = parse_options({"--version"}, "1.2.3");
  CHECK(std::get<exit_message>(result).text == "fermata-mirror 1.2.3\n");
  CHECK(std::get<exit_message>(result).status == 0);
}

TEST_CASE("a remote alone gets the defaults", "[mirror][options]") {
  const mirror_options options = parsed({"--remote", "git://example.org/repo"});
  CHECK(options.remote == "git://example.org/repo");
  CHECK(options.listen_address == "127.0.0.1");
  CHECK(options.listen_port == 8080);
  CHECK(options.work_policy == policy::budget());
  CHECK(options.depth == 1);
  CHECK(options.data_directory.empty());
}

TEST_CASE("every option is read, in both spellings", "[mirror][options]") {
  const mirror_options options = parsed({"--remote=/srv/repo.git#next/one", "--listen", "[::1]:0",
                                         "--policy=quanta=7", "--depth", "0", "--data=state"});
  CHECK(options.remote == "/srv/repo.git#next/one");
  CHECK(options.listen_address == "::1");
  CHECK(options.listen_port == 0);
  CHECK(options.work_policy == policy::quanta(7));
  CHECK(options.depth == 0);
  CHECK(options.data_directory == "state");
}

TEST_CASE("wrong usage is one line that points to help", "[mirror][options]") {
  const std::vector<std::string> remote{"--remote", "r"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), remote.begin(), remote.end());
    return refused(more);
  };
  const std::string end = " (see fermata-mirror --help)\n";
  CHECK(refused({}) == "fermata-mirror: --remote <url[#branch]> is needed" + end);
  CHECK(refused({"--remote", "#b"}) == "fermata-mirror: --remote <url[#branch]> is needed" + end);
  CHECK(with({"--listen", "8080"}) ==
        "fermata-mirror: --listen 8080 has not the form address:port" + end);
  CHECK(with({"--listen", "a:65536"}) ==
        "fermata-mirror: --listen a:65536 has not the form address:port" + end);
  CHECK(with({"--listen", "::1:80"}) ==
        "fermata-mirror: --listen ::1:80 has not the form address:port" + end);
  CHECK(with({"--depth", "-1"}) == "fermata-mirror: --depth -1 is no number of commits" + end);
  CHECK(with({"--policy", "fast"}) ==
        "fermata-mirror: --policy fast is none of greedy, each_bind, quanta=<n>, "
        "budget=<microseconds>, always" +
            end);
  CHECK(with({"--colour"}) ==
        "fermata-mirror: The following argument was not expected: --colour" + end);
  CHECK(with({"more"}) == "fermata-mirror: The following argument was not expected: more" + end);
  CHECK(refused({"--remote"}) == "fermata-mirror: --remote: 1 required TEXT missing" + end);
}

TEST_CASE("an authority brackets IPv6", "[mirror][options]") {
  CHECK(authority("127.0.0.1", 80) == "127.0.0.1:80");
  CHECK(authority("::1", 80) == "[::1]:80");
}
