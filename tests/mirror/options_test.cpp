// SPDX-License-Identifier: MIT
#include "support/temp_repository.hpp"

#include <fermata/http/request_parser.hpp>
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

// Whether a man page, a script or a file names `--option` or `option = `.
std::vector<std::string> missing_from(const std::string& text,
                                      const std::string& before,
                                      const std::string& from = "-",
                                      const std::string& to = "-") {
  std::vector<std::string> missing;
  for (const std::string& name : option_names()) {
    std::string wanted;
    for (const char c : before + name) wanted += std::string(1, c) == from ? to : std::string(1, c);
    if (text.find(wanted) == std::string::npos) missing.push_back(name);
  }
  return missing;
}

std::string said(const std::vector<std::string>& arguments) {
  const auto result = parse_options(arguments, "1.2.3");
  REQUIRE(std::holds_alternative<exit_message>(result));
  CHECK(std::get<exit_message>(result).status == 0);
  return std::get<exit_message>(result).text;
}

// What parsing says of a configuration file with this text.
std::variant<mirror_options, exit_message> with_file(const fermata::test::temp_folder& folder,
                                                     const std::string& text,
                                                     std::vector<std::string> more = {}) {
  folder.write("c.toml", text);
  more.insert(more.begin(), {"--config", (folder.path() / "c.toml").string()});
  return parse_options(more, "1.2.3");
}

}  // namespace

TEST_CASE("help fits one screen and shows the defaults", "[mirror][options]") {
  CHECK(said({"--help"}) ==
        "usage: fermata-mirror --remote <url[#branch]> [options]\n"
        "\n"
        "Serves an opam repository over HTTP, also while it is being cloned and indexed.\n"
        "\n"
        "  --remote <url[#branch]>           the opam repository's git URL or path\n"
        "  --depth <n>                       commits to keep of the history, 0 is all  [1]\n"
        "  --data <folder>                   what survives a restart is kept here\n"
        "  --listen <address:port>           where to serve, port 0 is any free one  "
        "[127.0.0.1:8080]\n"
        "  --policy <policy>                 when work gives the thread back  [budget=500]\n"
        "  --update-interval <duration>      between two updates, 0 is only when asked  [1h]\n"
        "  --update-secret-file <file>       who asks must know what it holds\n"
        "  --quiet                           no progress, warnings and errors alone\n"
        "  --config <file>                   options from a TOML file; --quiet=false and the like "
        "win\n"
        "  --print-config                    a complete, commented configuration file\n"
        "  --help                            the options that most need\n"
        "  --help-all                        all options\n"
        "  --version                         name and version\n"
        "\n"
        "Then: opam init --bare -n http://127.0.0.1:8080, or look at http://127.0.0.1:8080/status\n"
        "\n"
        "exit status: 0 stopped by a signal, 1 cannot start or serve, 2 wrong usage\n");
}

TEST_CASE("help, manual, completions and the configuration name every option",
          "[mirror][options]") {
  const std::vector<std::string> missing_actions{"config",       "check-config",    "print-config",
                                                 "help",         "help-all",        "version",
                                                 "print-manual", "print-completion"};
  CHECK(missing_from(said({"--help-all"}), "  --").empty());
  CHECK(missing_from(said({"--print-manual"}), "\n.BI --", "-", "\\-").empty());
  CHECK(missing_from(said({"--print-completion", "bash"}), "--").empty());
  CHECK(missing_from(said({"--print-completion", "zsh"}), "--").empty());
  CHECK(missing_from(said({"--print-completion", "fish"}), " -l ").empty());
  // What prints something and ends has no place in a file.
  std::string file = said({"--remote", "r", "--print-config"});
  std::erase(file, '#');  // what is not set stands there as a comment
  CHECK(missing_from(file, "\n") == missing_actions);
  CHECK(refused({"--print-completion", "tcsh"}) ==
        "fermata-mirror: --print-completion tcsh is none of bash, zsh, fish (see fermata-mirror "
        "--help)\n");
}

TEST_CASE("a printed configuration reads back equal", "[mirror][options]") {
  const fermata::test::temp_folder folder;
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--remote", "r"},
        std::vector<std::string>{"--remote", "/a \"b\\#c", "--listen", "[::1]:0", "--listen",
                                 "127.0.0.1:0", "--quiet", "--archive-mirror", "https://m.org",
                                 "--update-interval", "90s", "--max-body", "12345", "--log-format",
                                 "json", "--jitter", "2.5", "--access-log", "-"}}) {
    std::vector<std::string> printing = arguments;
    printing.push_back("--print-config");
    const std::string text = said(printing);
    const auto back = with_file(folder, text);
    INFO(text);
    REQUIRE(std::holds_alternative<mirror_options>(back));
    CHECK(std::get<mirror_options>(back) == parsed(arguments));
  }
}

TEST_CASE("the command line wins over the configuration", "[mirror][options]") {
  const fermata::test::temp_folder folder;
  const std::string text = "remote = \"r\"\ndepth = 3\nlisten = [\"[::1]:1\"]\nquiet = true\n";
  const auto result = with_file(folder, text, {"--depth", "7"});
  REQUIRE(std::holds_alternative<mirror_options>(result));
  const auto& options = std::get<mirror_options>(result);
  CHECK(options.remote == "r");
  CHECK(options.depth == 7);
  CHECK(options.listen == std::vector<std::string>{"[::1]:1"});
  CHECK(options.quiet);
}

TEST_CASE("a flag on the command line wins over the configuration", "[mirror][options]") {
  const fermata::test::temp_folder folder;
  const std::string text = "remote = \"r\"\ndata = \"d\"\noffline = true\nquiet = true\n";
  const auto result = with_file(folder, text, {"--offline=false", "--quiet", "--quiet=false"});
  REQUIRE(std::holds_alternative<mirror_options>(result));
  const auto& options = std::get<mirror_options>(result);
  CHECK_FALSE(options.offline);
  CHECK_FALSE(options.quiet);
  CHECK(parsed({"--remote", "r", "--quiet=true"}).quiet);
  for (const std::string value : {"no", "1", "truer", "0"}) {
    CHECK(refused({"--remote", "r", "--quiet=" + value}) ==
          "fermata-mirror: --quiet " + value +
              " is none of true, false (see fermata-mirror --help)\n");
  }
}

TEST_CASE("a flag with an empty value is refused", "[mirror][options]") {
  CHECK(refused({"--remote", "r", "--quiet="}) ==
        "fermata-mirror: --quiet= is none of true, false (see fermata-mirror --help)\n");
}

TEST_CASE("the client is named by the last line of its field", "[mirror][options]") {
  const auto client =
      service_options_of(parsed({"--remote", "r", "--client-header", "X-Forwarded-For"}))
          .http.client_of;
  const auto named = [&client](const std::string& fields) {
    fermata::http::request_parser parser;
    const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
    REQUIRE(parser.feed(text) == text.size());
    static_cast<void>(parser.next());  // the head
    return client(parser.current(), "10.0.0.1:80");
  };
  CHECK(named("") == "10.0.0.1");
  CHECK(named("X-Forwarded-For: 9.9.9.1, 2.2.2.2\r\n") == "2.2.2.2");
  CHECK(named("X-Forwarded-For: 9.9.9.1\r\nx-forwarded-for: 2.2.2.2\r\nA: b\r\n") == "2.2.2.2");
}

TEST_CASE("a public URL is one that can be pasted", "[mirror][options]") {
  const auto given = [](const std::string& url) {
    return std::vector<std::string>{"--remote", "r", "--public-url", url};
  };
  CHECK(service_options_of(parsed(given("https://opam.example.org:1/a"))).public_url ==
        "https://opam.example.org:1/a");
  for (const std::string url : {"opam.example.org", "https://", "https://u:p@h", "http://h/$(b)"}) {
    CHECK_THAT(refused(given(url)), Catch::Matchers::Contains(" is no https:// or http:// URL"));
  }
}

TEST_CASE("check-config reads what the options name", "[mirror][options]") {
  const fermata::test::temp_folder folder;
  const auto checked = [](const std::string& option, const std::string& file) {
    const auto result = parse_options({"--remote", "r", option, file, "--check-config"}, "1.2.3");
    REQUIRE(std::holds_alternative<exit_message>(result));
    const auto& message = std::get<exit_message>(result);
    return std::to_string(message.status) + " " + message.text;
  };
  const std::string absent = (folder.path() / "absent").string();
  const std::string empty = (folder.path() / "empty").string();
  const std::string right = (folder.path() / "right").string();
  folder.write("empty", "\n");
  folder.write("right", "secret\n");
  CHECK(checked("--update-secret-file", right) == "0 the options are right\n");
  CHECK(checked("--update-secret-file", absent) == "1 fermata-mirror: cannot read a secret from " +
                                                       absent +
                                                       ": no such file or directory (uv ENOENT)\n");
  CHECK(checked("--update-secret-file", empty) ==
        "1 fermata-mirror: cannot read a secret from " + empty + ": its first line is empty\n");
  CHECK(checked("--ca-file", absent) == "1 fermata-mirror: cannot use the authorities of " +
                                            absent + ": no such file or directory (uv ENOENT)\n");
  CHECK(checked("--ca-file", right) == "1 fermata-mirror: cannot use the authorities of " + right +
                                           ": it holds no certificate in PEM\n");
}

TEST_CASE("what is wrong in a configuration is named by its place", "[mirror][options]") {
  const fermata::test::temp_folder folder;
  const std::string file = (folder.path() / "c.toml").string();
  const auto complaint = [&](const std::string& text) {
    const auto result = with_file(folder, text);
    REQUIRE(std::holds_alternative<exit_message>(result));
    CHECK(std::get<exit_message>(result).status == 2);
    const std::string whole = std::get<exit_message>(result).text;
    const std::string start = "fermata-mirror: " + file + ":";
    REQUIRE(whole.starts_with(start));
    return whole.substr(start.size());
  };
  CHECK(complaint("remote = \"r\"\ncolour = 1\n") == "2:1: no such option: colour\n");
  CHECK(complaint("depth = -1\n") == "1:9: depth -1 is no whole number from 0 to 4294967295\n");
  CHECK(complaint("remote = \"r\"\nloops = 3.5\n") ==
        "2:9: loops 3.5 is no whole number from 1 to 256\n");
  CHECK(complaint("remote = [\"a\"]\n") == "1:10: remote is no single value\n");
  CHECK(complaint("listen = [[1]]\n") == "1:10: listen is no list of strings\n");
  CHECK(complaint("update-interval = \"soon\"\n") ==
        "1:19: update-interval soon is no duration such as 500ms, 10s, 5min, 1h or 7d\n");
  CHECK_THAT(complaint("remote = \n"), Catch::Matchers::StartsWith("1:1"));
  const auto absent = parse_options({"--config", file + ".none"}, "1.2.3");
  CHECK(std::get<exit_message>(absent).status == 1);
  CHECK(std::get<exit_message>(absent).text ==
        "fermata-mirror: cannot read the configuration " + file +
            ".none: no such file or directory (uv ENOENT)\n");
}

TEST_CASE("check-config says whether options are right", "[mirror][options]") {
  CHECK(said({"--remote", "git://example.org/r", "--check-config"}) == "the options are right\n");
  CHECK_THAT(refused({"--check-config"}), Catch::Matchers::Contains("--remote"));
  CHECK_THAT(refused({"--remote", "gopher://x/r", "--check-config"}),
             Catch::Matchers::StartsWith("fermata-mirror: cannot use gopher://x/r: "));
}

TEST_CASE("version is one line", "[mirror][options]") {
  const auto result = parse_options({"--version"}, "1.2.3");
  CHECK(std::get<exit_message>(result).text == "fermata-mirror 1.2.3\n");
  CHECK(std::get<exit_message>(result).status == 0);
}

TEST_CASE("a remote alone gets the defaults", "[mirror][options]") {
  const mirror_options options = parsed({"--remote", "git://example.org/repo"});
  CHECK(options.remote == "git://example.org/repo");
  CHECK(options.listen == std::vector<std::string>{"127.0.0.1:8080"});
  CHECK(options.work_policy == policy::budget());
  CHECK(options.depth == 1);
  CHECK(options.data_directory.empty());
}

TEST_CASE("every option is read, in both spellings", "[mirror][options]") {
  const mirror_options options = parsed({"--remote=/srv/repo.git#next/one", "--listen", "[::1]:0",
                                         "--policy=quanta=7", "--depth", "0", "--data=state"});
  CHECK(options.remote == "/srv/repo.git#next/one");
  CHECK(options.listen == std::vector<std::string>{"[::1]:0"});
  CHECK(options.work_policy == policy::quanta(7));
  CHECK(options.depth == 0);
  CHECK(options.data_directory == "state");
}

TEST_CASE("downloads say who runs the mirror where it is known", "[mirror][options]") {
  const auto agent = [](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"--remote", "r", "--data", "d"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return service_options_of(parsed(arguments)).archives.client.user_agent;
  };
  CHECK(agent({}) == "fermata-mirror");
  CHECK(agent({"--contact", "admin@example.org"}) == "fermata-mirror (+admin@example.org)");
  CHECK(refused({"--remote", "r", "--contact", "a) b"}) ==
        "fermata-mirror: --contact a) b is no address or URL (see fermata-mirror --help)\n");
}

TEST_CASE("a further authority is trusted for the remote and for archives", "[mirror][options]") {
  const service_options s =
      service_options_of(parsed({"--remote", "r", "--data", "d", "--ca-file", "/a/ca.pem"}));
  CHECK(s.clone.remote.http.ca_file == "/a/ca.pem");
  CHECK(s.archives.client.defaults.ca_file == "/a/ca.pem");
}

TEST_CASE("a time in which nothing can be done is refused", "[mirror][options]") {
  for (const char* name :
       {"header-timeout", "body-timeout", "idle-timeout", "write-timeout", "connect-timeout",
        "stall-timeout", "update-timeout", "download-timeout", "retry-delay", "max-retry-delay"}) {
    const std::string option = "--" + std::string(name);
    CHECK(refused({"--remote", "r", "--data", "d", option, "0ms"}) ==
          "fermata-mirror: " + option + " 0ms is not enough (see fermata-mirror --help)\n");
  }
}

TEST_CASE("what is said of archives needs a folder for them", "[mirror][options]") {
  CHECK(refused({"--remote", "r", "--quota", "1GB"}) ==
        "fermata-mirror: --quota needs --data <folder> (see fermata-mirror --help)\n");
  CHECK(refused({"--remote", "r", "--offline"}) ==
        "fermata-mirror: --offline needs --data <folder> (see fermata-mirror --help)\n");
  CHECK(parsed({"--remote", "r", "--quota", "0"}).quota_bytes == 0);  // as it is without it
  const service_options s = service_options_of(
      parsed({"--remote", "r", "--data", "d", "--download-rate", "2MB", "--offline"}));
  CHECK(s.archives.download_bytes_per_second == 2'000'000);
  CHECK(s.archives.offline);
}

TEST_CASE("an upstream cache of files needs leave for them", "[mirror][options]") {
  std::vector<std::string> cached{"--remote", "r", "--data", "d", "--upstream-cache", "file:///c"};
  const std::string why =
      "fermata-mirror: --upstream-cache file:///c needs --allow-file (see fermata-mirror --help)\n";
  CHECK(refused(cached) == why);
  cached.emplace_back("--check-config");
  CHECK(refused(cached) == why);
  cached.emplace_back("--allow-file");
  CHECK(said(cached) == "the options are right\n");
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
  CHECK(with({"--depth", "-1"}) ==
        "fermata-mirror: --depth -1 is no whole number from 0 to 4294967295" + end);
  CHECK(with({"--policy", "fast"}) ==
        "fermata-mirror: --policy fast is none of greedy, each_bind, quanta=<n>, "
        "budget=<microseconds>, always" +
            end);
  CHECK(with({"--upstream-cache", "ftp://bob:hunter2@a/"}) ==
        "fermata-mirror: --upstream-cache ftp://a/ is no http(s):// URL" + end);
  CHECK(with({"--max-header", "63"}) == "fermata-mirror: --max-header 63 is not enough" + end);
  CHECK(with({"--max-connections", "0"}) ==
        "fermata-mirror: --max-connections 0 is not enough" + end);
  for (const std::string path : {"update", "/", "/a/", "/a b", "/a?b", "/a//b", "/../b", "/%61"}) {
    CHECK(with({"--update-path", path}) ==
          "fermata-mirror: --update-path " + path + " is no path" + end);
  }
  for (const std::string path :
       {"/healthz", "/status/events", "/archives/retry", "/cache/x", "/repository.git"}) {
    CHECK(with({"--update-path", path}) == "fermata-mirror: --update-path " + path +
                                               " is a path that the mirror serves itself" + end);
  }
  CHECK(parsed({"--remote", "r", "--update-path", "/cached/.x"}).update_path == "/cached/.x");
  CHECK(with({"--colour"}) ==
        "fermata-mirror: The following argument was not expected: --colour" + end);
  CHECK(with({"more"}) == "fermata-mirror: The following argument was not expected: more" + end);
  CHECK(refused({"--remote"}) == "fermata-mirror: --remote: 1 required TEXT missing" + end);
}
