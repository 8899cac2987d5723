// SPDX-License-Identifier: MIT
#include "support/temp_repository.hpp"

#include <fermata/loop/error.hpp>
#include <fermata/loop/log.hpp>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <sstream>
#include <thread>

using fermata::log_level;

namespace {

// The line without its time, which has a fixed form.
std::string without_time(const std::string& line) {
  const std::string form = "dddd-dd-ddTdd:dd:dd.dddZ ";
  REQUIRE(line.size() > form.size());
  for (std::size_t i = 0; i < form.size(); ++i) {
    const bool fits = form[i] == 'd' ? line[i] >= '0' && line[i] <= '9' : line[i] == form[i];
    REQUIRE(fits);
  }
  return line.substr(form.size());
}

}  // namespace

TEST_CASE("a file sink writes a line a record from what its level asks for", "[loop][log]") {
  const fermata::test::temp_folder folder;
  const std::string path = (folder.path() / "log").string();
  {
    const fermata::log_sink sink = fermata::file_log_sink(path, log_level::warn);
    sink(log_level::error, "http", "cannot listen port=80");
    sink(log_level::warn, "git-mem", "two\nlines\x7f");
    sink(log_level::info, "git-mem", "left out");
  }
  const fermata::log_sink again = fermata::file_log_sink(path, log_level::debug);
  again(log_level::debug, "a", std::string(10'000, 'x'));
  std::istringstream in(fermata::test::read_file(path));
  std::string line;
  std::getline(in, line);
  CHECK(without_time(line) == "error http: cannot listen port=80");
  std::getline(in, line);
  CHECK(without_time(line) == "warn git-mem: two\\x0alines\\x7f");
  std::getline(in, line);
  CHECK(without_time(line) == "debug a: " + std::string(10'000, 'x'));
  CHECK_FALSE(std::getline(in, line));
}

TEST_CASE("records of four threads are whole, and in order per thread", "[loop][log]") {
  const fermata::test::temp_folder folder;
  const std::string path = (folder.path() / "log").string();
  constexpr int threads = 4;
  constexpr int records = 2000;
  {
    const fermata::log_sink sink = fermata::file_log_sink(path);
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t) {
      all.emplace_back([&sink, t] {
        const std::string area(1, static_cast<char>('a' + t));
        for (int i = 0; i < records; ++i) {
          sink(log_level::info, area, std::to_string(i) + " " + std::string(50, area[0]));
        }
      });
    }
    for (std::thread& t : all) t.join();
  }
  std::istringstream in(fermata::test::read_file(path));
  std::map<char, int> next;
  std::string line;
  bool is_whole = true;
  while (std::getline(in, line)) {
    const std::string text = without_time(line);
    const char who = text.at(5);
    const std::string expected = "info " + std::string(1, who) + ": " +
                                 std::to_string(next[who]++) + " " + std::string(50, who);
    is_whole = is_whole && text == expected;
  }
  CHECK(is_whole);
  CHECK(next ==
        std::map<char, int>{{'a', records}, {'b', records}, {'c', records}, {'d', records}});
}

TEST_CASE("the sink of standard error writes no time", "[loop][log]") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const int kept = dup(STDERR_FILENO);
  dup2(ends[1], STDERR_FILENO);
  const fermata::log_sink sink = fermata::stderr_log_sink();
  sink(log_level::info, "mirror", "ready");
  sink(log_level::debug, "mirror", "left out");
  dup2(kept, STDERR_FILENO);
  close(kept);
  close(ends[1]);
  char text[100];
  const auto n = read(ends[0], text, sizeof text);
  close(ends[0]);
  CHECK(std::string(text, static_cast<std::size_t>(n)) == "info mirror: ready\n");
}

TEST_CASE("a log that cannot be opened says why", "[loop][log]") {
  CHECK_THROWS_WITH(fermata::file_log_sink("/nowhere/log"),
                    "cannot open the log: /nowhere/log: no such file or directory (uv ENOENT)");
}
