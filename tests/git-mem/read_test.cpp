// SPDX-License-Identifier: MIT
// The read API beside real git, on repositories made at random.

#include "support/git_snapshot.hpp"
#include "support/pack_builder.hpp"
#include "support/policy.hpp"
#include "support/random_repository.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/log.hpp>
#include <fermata/git_mem/revparse.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <sstream>
#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;
using fermata::test_loop;

namespace {

template <typename Start>
auto run(Start start) {
  test_loop loop(fermata::testing::options_of_run());
  return loop.run(start);
}

std::string try_revision(const snapshot_ptr& s, const std::string& text) {
  return run([&]() -> promise<std::string> {
    promise<object_id> finding = get_revision(s, text);
    try {
      const object_id id = co_await finding;
      co_return id.hex();
    } catch (const failure& f) {
      co_return f.what();
    }
  });
}

std::string git_date(const signature& s) {
  return std::to_string(s.when.time_since_epoch().count());
}

std::string described(const commit& c) {
  std::string out = c.id.hex() + " " + c.tree.hex() + " [";
  for (const object_id& p : c.parents) out += (out.back() == '[' ? "" : " ") + p.hex();
  return out + "] " + c.author.name + " <" + c.author.email + "> " + git_date(c.author) + " " +
         c.committer.name + " <" + c.committer.email + "> " + git_date(c.committer);
}

std::vector<std::string> log_of(const snapshot_ptr& s, const std::string& tip) {
  return run([&]() -> promise<std::vector<std::string>> {
    std::vector<std::string> lines;
    std::vector<object_id> tips;
    tips.push_back(*object_id::from_hex(tip));
    commit_log log(s, tips);
    for (;;) {
      promise<std::optional<commit>> asking = log.next();
      const std::optional<commit> c = co_await asking;
      if (!c) co_return lines;
      lines.push_back(described(*c));
    }
  });
}

}  // namespace

TEST_CASE("commit_log gives what git log gives", "[git_mem][read]") {
  const temp_folder repo;
  fill_randomly(repo, GENERATE(1U, 2U, 3U), 150);
  const snapshot_ptr s = all_of(repo);
  const std::string format = "--format='%H %T [%P] %an <%ae> %at %cn <%ce> %ct'";
  for (const std::string tip : {"main", "b0", "b3", "main~20"}) {
    const std::string id = repo.output("git rev-parse " + tip).substr(0, 40);
    CHECK(log_of(s, id) == lines_of(repo.output("git log " + format + " " + id)));
  }
}

TEST_CASE("commit_log ends where the repository is shallow, and says what is missing",
          "[git_mem][read]") {
  const temp_folder repo;
  fill_randomly(repo, 4, 60);
  auto s = std::make_shared<snapshot>(*all_of(repo));
  const std::string tip = repo.output("git rev-parse main").substr(0, 40);
  const std::string cut = repo.output("git rev-parse main~2").substr(0, 40);
  repo.write(".git/shallow", cut + "\n");
  const std::vector<std::string> expected = lines_of(repo.output("git log --format=%H main"));
  s->shallow.push_back(*object_id::from_hex(cut));
  std::vector<std::string> ids;
  for (const std::string& line : log_of(s, tip)) ids.push_back(line.substr(0, 40));
  CHECK(ids == expected);
  CHECK_THROWS_WITH(log_of(s, std::string(40, '1')),
                    "commit " + std::string(40, '1') + ": not in the store");
}

TEST_CASE("get_revision gives what git rev-parse gives", "[git_mem][read]") {
  const temp_folder repo;
  fill_randomly(repo, GENERATE(5U, 6U), 120);
  repo.run(
      "git update-ref refs/remotes/origin/x main~3 && git update-ref refs/remotes/origin/HEAD b1");
  const snapshot_ptr s = all_of(repo);
  std::string all;
  const std::vector<std::string> names = {
      "HEAD",          "@",        "main",    "heads/main",
      "refs/heads/b2", "t0",       "tags/t3", "light",
      "tree-tag",      "origin/x", "origin",  repo.output("git rev-parse main~4").substr(0, 9)};
  const std::vector<std::string> after = {
      "",        "^",         "~",   "^0",      "~0",        "~7",    "^^",
      "~2^2",    "^2",        "^3",  "^{tree}", "^{commit}", "^{}",   "^{tag}",
      "^{blob}", "^{object}", ":",   ":a",      ":d1/b",     ":d0",   "^{tree}:b",
      "~3:d1",   ":/",        ":/a", ":a/",     ":d0/",      ":d0//", ":d1//b"};
  std::vector<std::string> texts;
  for (const std::string& name : names) {
    for (const std::string& a : after) texts.push_back(name + a);
  }
  for (const std::string& text : texts) all += text + "\n";
  repo.write(".git/asked", all);
  const std::vector<std::string> git =
      lines_of(repo.output("git cat-file --batch-check='%(objectname)' < .git/asked 2>/dev/null"));
  REQUIRE(git.size() == texts.size());
  int found = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string ours = try_revision(s, texts[i]);
    INFO(texts[i] << ": " << ours);
    if (git[i] == ours) {
      ++found;
    } else {
      CHECK(git[i] == texts[i] + " missing");
      const std::optional<object_id> submodule = object_id::from_hex(ours);
      if (submodule && !s->find_object(*submodule)) continue;
      CHECK(ours.substr(0, texts[i].size() + 3) == "\"" + texts[i] + "\":");
    }
  }
  CHECK(found > 100);
}

TEST_CASE("get_revision takes what git describe prints", "[git_mem][read]") {
  const temp_folder repo;
  fill_randomly(repo, 7, 200);
  repo.run("git tag -a -m t v1 main~5");
  const std::string tip = repo.output("git rev-parse main").substr(0, 40);
  const std::string tree = repo.output("git rev-parse main^{tree}").substr(0, 40);
  repo.run("git tag v1-g" + tip.substr(0, 7) + " main~9");  // a ref comes first
  const snapshot_ptr s = all_of(repo);
  std::string described = repo.output("git describe --long main");
  described.pop_back();
  std::vector<std::string> texts = {
      described,          described + "~3",     described + "^{tree}",
      "v1-g" + tip,       "x-g" + tip + "0",    "-g" + tip,
      "x-g" + tree,       "x-gzz-g" + tip,      "v1-g" + tip.substr(0, 7),
      "x-g" + tip + "-x", "x-g" + tip + "-gzz", "x-g" + tip.substr(0, 3)};
  for (const std::string& line : lines_of(repo.output("git rev-list --objects main"))) {
    texts.push_back("x-g" + line.substr(0, 4));
  }
  std::string all;
  for (const std::string& text : texts) all += text + "\n";
  repo.write(".git/asked", all);
  const std::vector<std::string> git =
      lines_of(repo.output("git cat-file --batch-check='%(objectname)' < .git/asked 2>/dev/null"));
  REQUIRE(git.size() == texts.size());
  REQUIRE(git[0] == tip);
  int missing = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string ours = try_revision(s, texts[i]);
    INFO(texts[i] << ": " << ours);
    const bool is_missing = ours.substr(0, texts[i].size() + 3) == "\"" + texts[i] + "\":";
    CHECK(git[i] == (is_missing ? texts[i] + " missing" : ours));
    missing += is_missing ? 1 : 0;
  }
  CHECK(missing > 5);  // of the first dozen
}

TEST_CASE("get_revision says why it finds nothing", "[git_mem][read]") {
  const temp_folder repo;
  repo.run("git init -q -b main . && git commit -q --allow-empty -m one");
  repo.run("git commit -q --allow-empty -m two");
  const snapshot_ptr s = all_of(repo);
  const std::string one = repo.output("git rev-parse main~").substr(0, 40);
  CHECK(try_revision(s, "nope") == "\"nope\": no ref and no object has this name");
  CHECK(try_revision(s, "") == "\"\": no ref and no object has this name");
  CHECK(try_revision(s, "abcdef12") == "\"abcdef12\": no ref and no object has this name");
  CHECK(try_revision(s, "main~2") == "\"main~2\": commit " + one + " has 0 parents");
  CHECK(try_revision(s, "main^2") ==
        "\"main^2\": commit " + repo.output("git rev-parse main").substr(0, 40) + " has 1 parent");
  CHECK(try_revision(s, "main:x") == "\"main:x\": path \"x\": not in the tree");
  CHECK(try_revision(s, "main@{1}") == "\"main@{1}\": a store has no reflog");
  CHECK(try_revision(s, ":x") == "\":x\": a store has no index");
  CHECK(try_revision(s, ":/x") == "\":/x\": :/text is not supported");
  CHECK(try_revision(s, "main^{/x}") == "\"main^{/x}\": ^{/x} is not supported");
  CHECK(try_revision(s, "main^{tree") == "\"main^{tree\": ^{ has no }");
  CHECK(try_revision(s, "main^-") == "\"main^-\": it cannot be read from here: -");
  CHECK(try_revision(s, "main~99999999999999999999") ==
        "\"main~99999999999999999999\": the number is too large");
}

TEST_CASE("the beginning of several names is told with those it may be", "[git_mem][read]") {
  // 2,000 blobs, and a commit among those that begin like one of them
  const temp_folder repo;
  repo.run("git init -q -b main .");
  std::string stream = "commit refs/heads/main\ncommitter a <a@b> 1700000000 +0000\ndata 0\n";
  for (int i = 0; i < 2000; ++i) {
    const std::string text = std::to_string(i);
    stream +=
        "M 100644 inline f" + text + "\ndata " + std::to_string(text.size()) + "\n" + text + "\n";
  }
  repo.write("stream", stream + "\n");
  repo.run("git fast-import --quiet < stream");
  const snapshot_ptr s = all_of(repo);
  std::vector<std::string> ids =
      lines_of(repo.output("git cat-file --batch-all-objects --batch-check='%(objectname)'"));
  std::size_t shared = 0;
  for (std::size_t i = 1; i < ids.size(); ++i) {
    if (ids[i].substr(0, 4) != ids[i - 1].substr(0, 4)) continue;
    ++shared;
    const std::string digits = ids[i].substr(0, 4);
    test_loop loop;
    loop.run([&]() -> promise<> {
      promise<object_id> finding = get_revision(s, digits);
      try {
        co_await finding;
        CHECK(false);
      } catch (const ambiguous_name& a) {
        std::vector<std::string> told;
        for (const object_id& id : a.candidates()) told.push_back(id.hex());
        CHECK(std::find(told.begin(), told.end(), ids[i]) != told.end());
        CHECK(std::find(told.begin(), told.end(), ids[i - 1]) != told.end());
        CHECK(std::string(a.what()).starts_with("\"" + digits +
                                                "\": " + std::to_string(told.size()) +
                                                " objects begin with it: " + told[0] + " ("));
      }
    });
  }
  CHECK(shared > 5);
  const short_names names = run([&] { return make_short_names(s); });
  CHECK(names.usual_digits() == 7);
  for (std::size_t i = 0; i < ids.size(); i += 70) {
    const std::string git = repo.output("git rev-parse --short=4 " + ids[i]);
    CHECK(names.shorten(*object_id::from_hex(ids[i]), 4) + "\n" == git);
  }
}

TEST_CASE("read_tag and read_commit give all that is written", "[git_mem][read]") {
  const temp_folder repo;
  repo.run("git init -q -b main . && git commit -q --allow-empty -m one");
  const std::string tree = repo.output("git rev-parse HEAD^{tree}").substr(0, 40);
  repo.write("raw", "tree " + tree +
                        "\nauthor A B <a@b> 1234567890 -0930\ncommitter C <> 5 +0545\n"
                        "gpgsig -----BEGIN\n  line two\n \n last\nencoding ISO-8859-1\n"
                        "odd\n\n\nmessage\n");
  const std::string id = repo.output("git hash-object -t commit -w --literally raw").substr(0, 40);
  repo.run("git update-ref refs/heads/odd " + id + " && git tag -a -m 'what it is' t odd");
  const snapshot_ptr s = all_of(repo);
  const commit c = read_commit(s, *object_id::from_hex(id));
  CHECK(c.tree.hex() == tree);
  CHECK(c.parents.empty());
  CHECK(c.author.zone == -930);
  CHECK(c.author.offset() == -std::chrono::minutes(9 * 60 + 30));
  CHECK(c.committer.name == "C");
  CHECK(c.committer.email == "");
  CHECK(c.committer.when.time_since_epoch().count() == 5);
  CHECK(c.encoding == "ISO-8859-1");
  REQUIRE(c.other_headers.size() == 2);
  CHECK(c.other_headers[0].first == "gpgsig");
  CHECK(c.other_headers[0].second == "-----BEGIN\n line two\n\nlast");
  CHECK(c.other_headers[1].first == "odd");
  CHECK(c.message == "\nmessage\n");
  const std::string tag_id = repo.output("git rev-parse t").substr(0, 40);
  const tag t = read_tag(s, *object_id::from_hex(tag_id));
  CHECK(t.target == c.id);
  CHECK(t.target_type == object_type::commit);
  CHECK(t.name == "t");
  CHECK(t.has_tagger);
  CHECK(t.tagger.email == "a@b");
  CHECK(t.message == "what it is\n");
  CHECK_THROWS_WITH(read_tag(s, c.id), "tag " + id + ": it is a commit");
}

TEST_CASE("damaged commits and tags are refused with their name", "[git_mem][read]") {
  const object_id id = blob_id("x");
  const std::string what = "commit " + id.hex() + ": ";
  CHECK_THROWS_WITH(parse_commit(id, ""), what + "it has no tree");
  CHECK_THROWS_WITH(parse_commit(id, "parent 1\n"), what + "it has no tree");
  CHECK_THROWS_WITH(parse_commit(id, "tree 12\n"), what + "its tree is no object name");
  CHECK_THROWS_WITH(parse_commit(id, "tree " + id.hex() + "\nparent x\n\n"),
                    what + "its parent is no object name");
  CHECK(parse_commit(id, "tree " + id.hex()).message == "");
  CHECK_THROWS_WITH(parse_tag(id, "x"), "tag " + id.hex() + ": it has no object");
  CHECK_THROWS_WITH(parse_tag(id, "object " + id.hex() + "\ntype bug\n"),
                    "tag " + id.hex() + ": its type is none of git's");
  CHECK(parse_signature("").name == "");
  CHECK(parse_signature("x").name == "x");
  CHECK(parse_signature("a > b < c").email == "");
  CHECK(parse_signature("a <b> -5 +0000").when.time_since_epoch().count() == -5);
  CHECK(parse_signature("a <b> 5 -0130").zone == -130);
  CHECK(parse_signature("a <b> 5 -0130").has_zone);
  const signature bare = parse_signature("a <b> 5 0130");  // git sorts by such a date
  CHECK(bare.when.time_since_epoch().count() == 5);
  CHECK(bare.zone == 0);
  CHECK(!bare.has_zone);
  CHECK(parse_signature("a <b> 99999999999999999999 +0000").when.time_since_epoch().count() == 0);
}

TEST_CASE("log, revparse and short names pause for every unit", "[git_mem][read]") {
  const temp_folder repo;
  fill_randomly(repo, 9, 40);
  const snapshot_ptr s = all_of(repo);
  fermata::loop_options always;
  always.when = fermata::policy::always();
  test_loop loop(std::move(always));
  const auto looks = [&loop] { return loop.metrics().looks; };
  loop.run([&]() -> promise<> {
    std::uint64_t before = looks();
    promise<object_id> finding = get_revision(s, "main~10");
    const object_id id = co_await finding;
    CHECK(looks() >= before + 10);
    std::vector<object_id> tips;
    tips.push_back(id);
    commit_log log(s, tips);
    before = looks();
    std::uint64_t commits = 0;
    for (;;) {
      promise<std::optional<commit>> asking = log.next();
      const std::optional<commit> c = co_await asking;
      if (!c) break;
      ++commits;
    }
    CHECK(looks() >= before + 2 * commits);
    before = looks();
    promise<short_names> making = make_short_names(s);
    co_await making;
    CHECK(looks() >= before + 4);
    before = looks();
    promise<std::vector<object_id>> scanning = find_by_prefix(s, "0");
    co_await scanning;
    CHECK(looks() >= before + 1);
  });
}
