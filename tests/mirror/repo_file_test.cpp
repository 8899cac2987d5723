// SPDX-License-Identifier: MIT
#include <fermata/mirror/repo_file.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace fermata::mirror;

namespace {

const repo_settings settings{"git://example.org/repo", "97014be6"};
const std::string ours = "upstream: \"git://example.org/repo\"\nstamp: \"97014be6\"\n";
const std::string minimal = "opam-version: \"2.0\"\n" + ours;

std::string made(std::string_view text) {
  const repo_file file = make_repo_file(text, settings);
  CHECK_FALSE(file.fault);
  return file.text;
}
std::string fault(std::string_view text) {
  const repo_file file = make_repo_file(text, settings);
  CHECK(file.text == minimal);
  return file.fault.value_or("no fault");
}

}  // namespace

TEST_CASE("an absent repo file gives a minimal one", "[mirror][repo]") {
  const repo_file file = make_repo_file(std::nullopt, settings);
  CHECK(file.text == minimal);
  CHECK_FALSE(file.fault);
}

TEST_CASE("an empty repo file gets our fields", "[mirror][repo]") { CHECK(made("") == ours); }

TEST_CASE("announces, comments and unknown fields stay as they are", "[mirror][repo]") {
  const std::string text =
      "opam-version: \"2.0\"\n"
      "# a \"comment { \n"
      "browse: \"https://opam.ocaml.org/pkg/\" (* one (* inside *) \" *)\n"
      "announce: [\n\"\"\"\n[WARNING] \"old\"\n\"\"\" {opam-version < \"2.0.10\" |\n"
      "  (opam-version >= \"2.1.0~~\" & os = \"macos\")}\n]\n"
      "x-more: foo:bar\n";
  CHECK(made(text) == text + ours);
}

TEST_CASE("redirect, upstream and stamp are removed with their lines", "[mirror][repo]") {
  CHECK(made("opam-version: \"2.0\"\r\n"
             "redirect: [ \"https://elsewhere.org\" {os = \"linux\"} ]\r\n"
             "browse: \"b\"\r\n"
             "upstream: \"https://github.com/x\"  \n"
             "stamp: \"old\" stamp: \"twice\"") ==
        "opam-version: \"2.0\"\r\nbrowse: \"b\"\r\n \n" + ours);
}

TEST_CASE("redirect inside of a section or a string is not ours", "[mirror][repo]") {
  const std::string text =
      "x \"name\" { redirect: \"a\" y { b: [1 -2 true] } }\nz: \"redirect: 1\"\n";
  CHECK(made(text) == text + ours);
}

TEST_CASE("absolute archive mirrors stay, relative ones go", "[mirror][repo]") {
  CHECK(made("archive-mirrors: [\"cache\" \"https://a.org/c\" \"/x\" \"http://b.org\"]\n") ==
        "archive-mirrors: [\"https://a.org/c\" \"http://b.org\"]\n" + ours);
  CHECK(made("archive-mirrors: \"cache\"\n") == ours);
  CHECK(made("archive-mirrors: \"https://a.org/c\"\n") ==
        "archive-mirrors: [\"https://a.org/c\"]\n" + ours);
}

TEST_CASE("our values are quoted", "[mirror][repo]") {
  const repo_file file = make_repo_file("", repo_settings{"a\"b\\c\nd", "s"});
  CHECK(file.text == "upstream: \"a\\\"b\\\\c\\010d\"\nstamp: \"s\"\n");
}

TEST_CASE("strings may hold every escape", "[mirror][repo]") {
  const std::string text =
      "a: \"\\\\ \\\" \\' \\n\\r\\t\\b\\ \\065\\x41 \\\n   joined\"\nb: \"\"\"\\\"\"\" \"\"\"\n";
  CHECK(made(text) == text + ours);
}

TEST_CASE("a file that is no opam file names the place", "[mirror][repo]") {
  CHECK(fault("opam-version: \"2.0\"\nbrowse: \"open\n") == "repo:2:9: string without an end");
  CHECK(fault("a: \"\"\"x\"\"") == "repo:1:4: string without an end");
  CHECK(fault("a: (* (* *)") == "repo:1:4: comment without an end");
  CHECK(fault("a: \"\\q\"") == "repo:1:5: unknown escape in a string");
  CHECK(fault("a: \"\\256\"") == "repo:1:5: escape over \\255 in a string");
  CHECK(fault("a \"b\"") == "repo:1:6: ':' or '{' should stand here");
  CHECK(fault("a: ") == "repo:1:4: a value should stand here");
  CHECK(fault("a: [1 2") == "repo:1:8: a value should stand here");
  CHECK(fault("a: [1 2)") == "repo:1:8: a bracket that closes nothing");
  CHECK(fault("a: {x}") == "repo:1:4: a value should stand before '{'");
  CHECK(fault("a { b: 1") == "repo:1:9: section without an end");
  CHECK(fault("<html>") == "repo:1:1: a field's name should stand here");
  CHECK(fault("a: 1 \xef\xbb\xbf") == "repo:1:6: a byte that begins no token");
  CHECK(fault("a: 1\rb: 2") == "repo:1:5: a byte that begins no token");
  CHECK(fault("a: & 1") == "repo:1:4: an operator without a value before it");
}

TEST_CASE("brackets nest without a limit", "[mirror][repo]") {
  const std::size_t depth = 200'000;
  const std::string text = "a: " + std::string(depth, '[') + std::string(depth, ']') + "\n";
  CHECK(made(text) == text + ours);
  CHECK(fault("a: " + std::string(depth, '(')) == "repo:1:200004: a value should stand here");
}

TEST_CASE("a huge repo file is replaced", "[mirror][repo]") {
  CHECK(fault(std::string(longest_repo_file_bytes + 1, ' ')) == "repo: over 1048576 bytes");
}

TEST_CASE("archive mirrors of ours stand before upstream's absolute ones", "[mirror][repo]") {
  repo_settings settings;
  settings.upstream = "u";
  settings.stamp = "s";
  settings.archive_mirrors = {"https://m.example.org"};
  CHECK(make_repo_file("opam-version: \"2.0\"\narchive-mirrors: [\"cache\" \"https://up.org\"]\n",
                       settings)
            .text ==
        "opam-version: \"2.0\"\narchive-mirrors: [\"https://m.example.org\" \"https://up.org\"]\n"
        "upstream: \"u\"\nstamp: \"s\"\n");
}
