// SPDX-License-Identifier: MIT
/// Repositories made by real git with what real ones have: merges, renames, odd names and people,
/// tags of tags, dates that go back, large files, any number of branches.
#pragma once

#include "support/temp_repository.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace fermata::test {

/// Writes a stream for `git fast-import`.
class random_history {
public:
  explicit random_history(unsigned seed) : random_(seed) {}

  [[nodiscard]] std::string stream(int commits, int branches = 0) {
    for (int i = 1; i <= commits; ++i) add_commit(i);
    for (int i = 0; i < commits / 8; ++i) add_tag(i, commits);
    for (int i = 0; i < branches; ++i) {
      const unsigned at = 1 + below(static_cast<unsigned>(commits));
      out_ += "reset refs/heads/b/" + std::to_string(i) + "\nfrom :" + std::to_string(at) + "\n\n";
    }
    out_ += "reset refs/heads/main\nfrom :" + std::to_string(commits) + "\n\ndone\n";
    return std::move(out_);
  }

  /// What git does after the import: tags of tags.
  [[nodiscard]] const std::vector<std::string>& after() const { return after_; }

private:
  [[nodiscard]] unsigned below(unsigned n) { return static_cast<unsigned>(random_()) % n; }

  [[nodiscard]] std::string path() {
    static const std::vector<std::string> names = {
        "a",      "b.c",    "b",     "a-b",       "a0",      "opam",     "\xc3\xa4 x",
        "z\"q",   "tab\tx", "Ab",    "new\nline", "back\\s", "\xff\xfe", "-rf",
        "*.glob", "~home",  "$HOME", "a:b",       "con",     ".gitx",    "x.git"};
    std::string p;
    for (unsigned depth = below(4); depth > 0; --depth) p += "d" + std::to_string(below(4)) + "/";
    return p + names[below(static_cast<unsigned>(names.size()))];
  }
  [[nodiscard]] static std::string quoted(const std::string& p) {
    std::string out = "\"";
    for (const char c : p) {
      if (c == '"' || c == '\\') out += '\\';
      if (c == '\n') {
        out += "\\n";
      } else {
        out += c;
      }
    }
    return out + "\"";
  }
  void data(const std::string& text) {
    out_ += "data " + std::to_string(text.size()) + "\n" + text + "\n";
  }
  [[nodiscard]] std::string person() {
    static const std::vector<std::string> people = {"A U Thor <a@b>", "J\xc3\xb6rg <j@x.example>",
                                                    "No Mail <>", "x <x y@z>"};
    static const std::vector<std::string> zones = {"+0000", "+0530", "-0930", "-0030", "+1400"};
    clock_ += below(3) == 0 ? -static_cast<long>(below(5000)) : static_cast<long>(below(9000));
    return people[below(4)] + " " + std::to_string(clock_) + " " + zones[below(5)];
  }
  [[nodiscard]] std::string message(int i) {
    static const std::vector<std::string> more = {"",
                                                  "\n",
                                                  "\n\nA body\nof lines.\n",
                                                  "\n\n\n\nfar\n\n\n\nbelow  \n\n",
                                                  " \t tab\tin it\n",
                                                  "\n\n\ttab\n  two\n \n",
                                                  "\n\xc3\xa4\xe2\x82\xac\tx\n"};
    if (below(20) == 0) return "";
    return (below(9) == 0 ? "\n\n" : "") + ("commit " + std::to_string(i)) +
           more[below(static_cast<unsigned>(more.size()))];
  }
  void add_commit(int i) {
    out_ += "commit refs/heads/b" + std::to_string(below(5)) + "\nmark :" + std::to_string(i) +
            "\nauthor " + person() + "\ncommitter " + person() + "\n";
    data(message(i));
    if (i > 1) {
      const int first = std::max(1, i - 1 - static_cast<int>(below(6)));
      out_ += "from :" + std::to_string(first) + "\n";
      for (unsigned k = below(4) == 0 ? 1 + below(3) : 0; k > 0; --k) {
        const int other = 1 + static_cast<int>(below(static_cast<unsigned>(i - 1)));
        if (other != first) out_ += "merge :" + std::to_string(other) + "\n";
      }
    }
    for (unsigned k = 1 + below(3); k > 0; --k) change();
  }
  // Does not compress, and is cut in many units.
  [[nodiscard]] std::string noise() {
    std::string text(200'000 + below(200'000), '\0');
    for (char& c : text) c = static_cast<char>(random_());
    return text;
  }
  void change() {
    const std::string p = quoted(path());
    switch (below(8)) {
      case 0:
        out_ += "D " + p + "\n";
        return;
      case 1:
        out_ += "M 120000 inline " + p + "\n";
        return data("target");
      case 2:
        out_ += "M 100755 inline " + p + "\n";
        return data("#!/bin/sh\n" + std::to_string(random_()));
      case 3:
        out_ += "M 160000 " + std::string(40, static_cast<char>('1' + below(9))) + " " + p + "\n";
        return;
      default: {
        out_ += "M 100644 inline " + p + "\n";
        std::string text;
        for (unsigned n = below(60); n > 0; --n) text += std::to_string(random_() % 50) + " line\n";
        if (below(25) == 0) text += std::string(90'000, static_cast<char>('a' + below(26)));
        if (below(30) == 0) text = noise();
        data(text);
        if (below(12) == 0) {
          out_ += "R " + p + " \"moved/" + std::to_string(below(1000)) + "\"\n";
        }
        return;
      }
    }
  }
  void add_tag(int i, int commits) {
    const std::string to = i > 0 && below(4) == 0
                               ? "refs/tags/t" + std::to_string(i - 1)
                               : ":" + std::to_string(1 + below(static_cast<unsigned>(commits)));
    if (to[0] == 'r') {
      after_.push_back("git tag -a -m nested n" + std::to_string(i) + " t" + std::to_string(i - 1));
    }
    const std::string from = to[0] == 'r' ? ":1" : to;
    out_ += "tag t" + std::to_string(i) + "\nfrom " + from + "\ntagger " + person() + "\n";
    data("the tag\n");
  }

  std::vector<std::string> after_;
  std::mt19937 random_;
  long clock_ = 1'600'000'000;
  std::string out_;
};

/// Makes a bare-like repository in `repo` (with a work tree that is empty), HEAD on main.
inline void fill_randomly(const temp_folder& repo, unsigned seed, int commits) {
  random_history history(seed);
  repo.run("git init -q -b main . && git config advice.nestedTag false");
  repo.write("stream", history.stream(commits));
  repo.run("git fast-import --quiet --done --force < stream && rm stream");
  for (const std::string& command : history.after()) repo.run(command);
  repo.run("git tag light main~1 && git tag tree-tag main^{tree}");
  repo.run("git -c pack.threads=1 repack -adq");  // with more, the deltas differ from run to run
}

}  // namespace fermata::test
