// SPDX-License-Identifier: MIT
// What fermata-git prints before it fails, and disks that take no more.

#include "support/git_program.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace fermata::test;

TEST_CASE("fermata-git rev-parse prints what it found before it fails", "[git_mem][program]") {
  const temp_folder folder;
  folder.run("git init -q -b main repo && git -C repo commit -q --allow-empty -m 1 && " +
             program() + "clone repo --save store");
  const std::string tip = folder.output("git -C repo rev-parse HEAD");
  CHECK(told(folder, "rev-parse store HEAD none main") ==
        tip + "fermata-git: \"none\": no ref and no object has this name\nstatus 1\n");
  CHECK(told(folder, "rev-parse store HEAD main") == tip + tip + "status 0\n");
}

TEST_CASE("fermata-git says that its output found no room", "[git_mem][program]") {
  const temp_folder folder;
  folder.run(
      "git init -q -b main repo && cd repo && echo 1 > f && git add f && git commit -q -m 1 && "
      "cd .. && " +
      program() + "clone repo --save store");
  for (const std::string command : {"--help", "clone --help", "--version", "rev-parse store HEAD",
                                    "ls-tree store HEAD", "ls-tree store -r HEAD", "log store",
                                    "cat-file store -p HEAD:f", "clone repo", "fetch store repo"}) {
    INFO(command);
    CHECK(told(folder, command + " >/dev/full") ==
          "fermata-git: cannot write to standard output: no space left on device (uv ENOSPC)\n"
          "status 1\n");
  }
  CHECK(told(folder, "rev-parse store HEAD none >/dev/full") ==
        "fermata-git: \"none\": no ref and no object has this name\nstatus 1\n");
  CHECK(told(folder, "diff store --name-only HEAD HEAD >/dev/full") == "status 0\n");  // no output
}

TEST_CASE("fermata-git outlives a limit of file sizes and leaves nothing half written",
          "[git_mem][program]") {
  const temp_folder folder;
  folder.run(
      "git init -q -b main repo && cd repo && git commit -q --allow-empty -m 1 && cd .. && " +
      program() +
      "clone repo --save old && cd repo && head -c 3000000 /dev/urandom > large && "
      "git add large && git commit -q -m 2 && cd .. && cp old before");
  const auto limited = [&](const std::string& command) {
    return folder.output("( ulimit -f 1000; " + program() + command + " ) 2>&1; echo status $?");
  };
  const std::string said = "fermata-git: cannot write store: file too large (uv EFBIG)\nstatus 1\n";
  CHECK(limited("clone repo --save store") == said);
  CHECK(limited("clone repo --stats --save store") == said);
  CHECK(limited("fetch old repo") ==
        "fermata-git: cannot write old: file too large (uv EFBIG)\nstatus 1\n");
  CHECK(folder.output("cmp old before && ls") == "before\nold\nrepo\n");
  folder.run(program() + "clone repo --save store");
  CHECK(limited("cat-file store -p HEAD:large >content") ==
        "fermata-git: cannot write to standard output: file too large (uv EFBIG)\nstatus 1\n");
}
