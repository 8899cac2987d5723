// SPDX-License-Identifier: MIT
#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/tree.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/mirror/archive_catalogue.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::test;

namespace {

std::string hex(char digit, std::size_t digits) { return std::string(digits, digit); }
std::string md5(char d) { return "md5=" + hex(d, 32); }
std::string sha256(char d) { return "sha256=" + hex(d, 64); }
std::string sha512(char d) { return "sha512=" + hex(d, 128); }

std::string opam(const std::string& url, const std::vector<std::string>& sums) {
  std::string list;
  for (const std::string& s : sums) list += "\"" + s + "\" ";
  return "opam-version: \"2.0\"\nurl { src: \"" + url + "\" checksum: [" + list + "] }\n";
}

void set(archive_catalogue& c, const std::string& package, const std::string& text) {
  const std::string name = package.substr(0, package.find('.'));
  std::array<std::uint8_t, 20> id{};
  c.set_file(name + "/" + package + "/opam", git_mem::object_id::from_bytes(id.data()),
             read_opam_sources(text));
}
void remove(archive_catalogue& c, const std::string& package) {
  c.remove_file(package.substr(0, package.find('.')) + "/" + package + "/opam");
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& p : parts) text += (text.empty() ? "" : ",") + p;
  return text;
}

// Every archive as a line: its kinds of checksums, URLs, packages.
std::string told(const archive_catalogue& c) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < c.slots(); ++i) {
    const auto a = c.at(i);
    if (!a) continue;
    std::string sums;
    for (const archive_hash& h : a->hashes) {
      sums += std::string(to_string(h.kind())) + ":" + h.hex()[0] + " ";
      CHECK(c.has(h));
    }
    lines.push_back(sums + joined(a->urls) + (a->mirrors.empty() ? "" : "|") + joined(a->mirrors) +
                    " " + joined(a->packages));
  }
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& l : lines) text += l + "\n";
  CHECK(c.counts().archives == lines.size());
  return text;
}

std::string told(const std::vector<catalogue_note>& notes) {
  std::string text;
  for (const catalogue_note& n : notes) text += n.where + ": " + n.what + "\n";
  return text;
}

}  // namespace

TEST_CASE("sources that share a checksum are one archive", "[mirror][catalogue]") {
  archive_catalogue c;
  set(c, "a.1", opam("https://x/a", {md5('1'), sha256('2')}));
  set(c, "b.1", opam("https://y/b", {sha256('2'), sha512('3')}));
  set(c, "c.1", opam("https://z/c", {sha512('4')}));
  CHECK(told(c) ==
        "md5:1 sha256:2 sha512:3 https://x/a,https://y/b a.1,b.1\nsha512:4 https://z/c c.1\n");
  CHECK(c.counts().alternatives == 1);
  CHECK(c.find(*archive_hash::parse(md5('1')))->key().text() == sha512('3'));
  CHECK_FALSE(c.find(*archive_hash::parse(md5('9'))));
}

TEST_CASE("a source that joins two archives makes them one, and two again when it goes",
          "[mirror][catalogue]") {
  archive_catalogue c;
  set(c, "a.1", opam("https://x/a", {md5('1')}));
  set(c, "b.1", opam("https://x/b", {sha512('3')}));
  const std::string apart = told(c);
  CHECK(apart == "md5:1 https://x/a a.1\nsha512:3 https://x/b b.1\n");
  set(c, "c.1", opam("https://x/a", {md5('1'), sha512('3')}));
  CHECK(told(c) == "md5:1 sha512:3 https://x/a,https://x/b a.1,b.1,c.1\n");
  remove(c, "c.1");
  CHECK(told(c) == apart);
  CHECK(c.counts().alternatives == 0);
  CHECK(c.counts().sources == 2);
}

TEST_CASE("checksums that contradict stay apart and are reported", "[mirror][catalogue]") {
  archive_catalogue c;
  set(c, "a.1", opam("https://x/a", {md5('1'), sha256('2')}));
  set(c, "b.1", opam("https://x/b", {md5('1'), sha256('3')}));
  CHECK(told(c) == "md5:1 sha256:2 https://x/a a.1\nmd5:1 sha256:3 https://x/b b.1\n");
  CHECK(told(c.conflicts(9)) == "packages/a/a.1/opam: https://x/a: elsewhere " + md5('1') +
                                    " stands with other checksums\n" +
                                    "packages/b/b.1/opam: https://x/b: elsewhere " + md5('1') +
                                    " stands with other checksums\n");
  remove(c, "a.1");
  CHECK(told(c) == "md5:1 sha256:3 https://x/b b.1\n");
  CHECK(c.conflicts(9).empty());
}

TEST_CASE("a URL with two checksums is reported", "[mirror][catalogue]") {
  archive_catalogue c;
  set(c, "a.1", opam("https://x/a", {sha256('2')}));
  set(c, "b.1", opam("https://x/a", {sha256('3')}));
  CHECK(told(c.conflicts(9)) ==
        "packages/a/a.1/opam: https://x/a: elsewhere it has another checksum than " + sha256('2') +
            "\npackages/b/b.1/opam: https://x/a: elsewhere it has another checksum than " +
            sha256('3') + "\n");
  CHECK(c.conflicts(1).size() == 1);
  set(c, "b.1", opam("https://x/a", {sha256('2')}));
  CHECK(c.conflicts(9).empty());
  CHECK(told(c) == "sha256:2 https://x/a a.1,b.1\n");
  set(c, "d.1", opam("https://me:secret@x/d", {md5('1'), sha256('4')}));
  set(c, "e.1", opam("https://me:secret@x/d", {md5('1'), sha256('5')}));
  CHECK_THAT(told(c.conflicts(9)),
             Catch::Matchers::Contains("https://x/d: ") && !Catch::Matchers::Contains("secret"));
}

TEST_CASE("a catalogue does not depend on the order of its past", "[mirror][catalogue]") {
  std::vector<std::pair<std::string, std::string>> files;
  std::mt19937 random(7);
  for (int i = 0; i < 40; ++i) {  // few checksums, so that they meet and contradict
    std::vector<std::string> sums{md5(static_cast<char>('0' + random() % 8))};
    if (random() % 2 == 0) sums.push_back(sha256(static_cast<char>('0' + random() % 10)));
    files.emplace_back("p" + std::to_string(i) + ".1",
                       opam("https://x/" + std::to_string(random() % 20), sums));
  }
  // Alone those without contradictions: which of two rivals one joins that fits both is not told.
  std::vector<std::pair<std::string, std::string>> peaceful;
  archive_catalogue first;
  for (const auto& f : files) {
    set(first, f.first, f.second);
    if (first.conflicts(1).empty()) {
      peaceful.push_back(f);
    } else {
      remove(first, f.first);
    }
    CHECK(first.conflicts(1).empty());
  }
  REQUIRE(peaceful.size() > 8);
  archive_catalogue second;
  for (int round = 0; round < 20; ++round) {
    std::shuffle(peaceful.begin(), peaceful.end(), random);
    for (const auto& f : peaceful) set(second, f.first, f.second);
    CHECK(told(second) == told(first));
    for (std::size_t i = 0; i < peaceful.size() / 2; ++i) remove(second, peaceful[i].first);
  }
  for (const auto& f : files) set(second, f.first, f.second);  // with contradictions
  for (const auto& f : files) remove(second, f.first);
  CHECK(told(second).empty());
  CHECK(second.counts().sources == 0);
  CHECK(second.counts().alternatives == 0);
  CHECK(second.conflicts(9).empty());
}

TEST_CASE("what is not downloaded is listed with its reason", "[mirror][catalogue]") {
  archive_catalogue c;
  set(c, "a.1", opam("git+https://me:secret@x/a", {md5('1')}));
  set(c, "b.1", opam("https://x/b", {}));
  set(c, "c.1", opam("file:///etc/passwd", {md5('2')}));
  set(c, "d.1", opam("../x", {md5('2')}));
  set(c, "e.1", "available: false\n" + opam("https://x/e", {md5('3')}));
  set(c, "f.1", "a: @\n");
  CHECK(told(c.skipped(9)) ==
        "packages/a/a.1/opam: git+https://x/a: under version control: not mirrored\n"
        "packages/b/b.1/opam: https://x/b: it has no checksum\n"
        "packages/c/c.1/opam: file:///etc/passwd: file:// is not allowed\n"
        "packages/d/d.1/opam: ../x: no URL that could be fetched\n");
  CHECK(told(c.faults(9)) == "packages/f/f.1/opam: 1:4: a byte that begins no token\n");
  const catalogue_counts n = c.counts();
  CHECK(n.opam_files == 6);
  CHECK(n.unavailable == 1);
  CHECK(n.sources == 4);
  CHECK(n.archives == 0);
  CHECK(n.version_control == 1);
  CHECK(n.without_checksum == 1);
  CHECK(n.refused == 2);
  CHECK(n.faults == 1);
  archive_catalogue trusting(true);
  set(trusting, "c.1", opam("file:///srv/x", {md5('2')}));
  CHECK(told(trusting) == "md5:2 file:///srv/x c.1\n");
}

TEST_CASE("an opam file that says no version is a fault", "[mirror][catalogue]") {
  archive_catalogue c;
  set(c, "a.1", "");
  set(c, "b.1", "synopsis: \"b\"\n");
  set(c, "c.1", "opam-version: \"2.0\"\n");
  const std::string why =
      ": 1:1: no opam-version: opam 2.1 refuses the whole repository for that\n";
  CHECK(told(c.faults(9)) == "packages/a/a.1/opam" + why + "packages/b/b.1/opam" + why);
  CHECK(c.counts().faults == 2);
  set(c, "a.1", "opam-version: \"2.0\"\n");
  CHECK(told(c.faults(9)) == "packages/b/b.1/opam" + why);
}

TEST_CASE("only opam files of packages are read", "[mirror][catalogue]") {
  CHECK(package_of_path("a/a.1/opam") == "a.1");
  CHECK(package_of_path("a.1/opam") == "a.1");
  CHECK(package_of_path("a/a.1/url") == "a.1");
  CHECK(package_of_path("a/a.1/files/opam").empty());
  CHECK(package_of_path("a/a.1/descr").empty());
  CHECK(package_of_path("opam").empty());
}

namespace {

promise<> walk(git_mem::snapshot_ptr from,
               git_mem::object_id root,
               archive_catalogue::file_list& files) {
  return git_mem::walk_files(from, root, "packages", [&files](const git_mem::tree_walk::entry& e) {
    files.push_back(e);
    return ready();
  });
}

promise<> read_commit(const std::string& url,
                      git_mem::object_store& store,
                      archive_catalogue& c,
                      catalogue_update& update) {
  promise<git_mem::clone_result> cloning = git_mem::clone(url);
  git_mem::clone_result cloned = co_await std::move(cloning);
  const git_mem::object_id tip = cloned.tip;
  store.publish(git_mem::make_snapshot(store, std::move(cloned)));
  archive_catalogue::file_list files;
  promise<> walked = walk(store.current(), tip, files);
  co_await walked;
  promise<catalogue_update> reading = c.read(store.current(), files);
  update = co_await std::move(reading);
}

}  // namespace

TEST_CASE("a later commit is read where it differs", "[mirror][catalogue]") {
  const temp_folder folder;
  folder.run("git init -q -b main r");
  for (int i = 0; i < 20; ++i) {
    const std::string n = "p" + std::to_string(i);
    folder.write("r/packages/" + n + "/" + n + ".1/opam",
                 opam("https://x/" + n, {md5(static_cast<char>('a' + i % 6)), sha256('1')}));
  }
  folder.write("r/packages/p0/p0.1/files/x", "x");
  folder.write("r/packages/long/long.1/opam", std::string(70'000, '\n') + "a: @\n");
  folder.run("cd r && git add . && git commit -qm 1");
  const std::string url = "file://" + (folder.path() / "r").string();
  event_loop loop(testing::options_of_run());
  git_mem::object_store store;
  archive_catalogue c;
  catalogue_update update;
  loop.run([&] { return read_commit(url, store, c, update); });
  CHECK(update.files_read == 21);
  CHECK(told(c.faults(9)) == "packages/long/long.1/opam: 70001:4: a byte that begins no token\n");
  loop.run([&] { return read_commit(url, store, c, update); });
  CHECK(update.files_read == 0);
  CHECK(update.touched.empty());

  folder.write("r/packages/p3/p3.1/opam", opam("https://x/new", {sha512('2')}));
  folder.write("r/packages/new/new.1/opam", opam("https://x/new", {sha512('2')}));
  folder.run(
      "cd r && git rm -q packages/p5/p5.1/opam packages/long/long.1/opam && git add . && "
      "git commit -qm 2");
  loop.run([&] { return read_commit(url, store, c, update); });
  CHECK(update.files_read == 2);
  CHECK(c.counts().opam_files == 20);
  CHECK(c.counts().faults == 0);
  CHECK(c.find(*archive_hash::parse(sha512('2')))->packages ==
        std::vector<std::string>{"new.1", "p3.1"});
  CHECK_FALSE(std::find(update.touched.begin(), update.touched.end(),
                        *archive_hash::parse(sha512('2'))) == update.touched.end());
}

TEST_CASE("reading looks at the loop once a file", "[mirror][catalogue]") {
  event_loop loop(testing::options_with(policy::always()));
  git_mem::object_store store;
  archive_catalogue c;
  archive_catalogue::file_list files(300);
  for (std::size_t i = 0; i < files.size(); ++i) {
    files[i].path = "x/" + std::to_string(1000 + i) + "/descr";
  }
  const std::uint64_t before = loop.metrics().looks;
  loop.run([&] { return c.read(store.current(), files).map([](const catalogue_update&) {}); });
  CHECK(loop.metrics().looks - before >= files.size());
}

TEST_CASE("the catalogue of the real repository has the archives that others counted",
          "[mirror][catalogue][real]") {
  std::filesystem::path tar;
  if (!find_shared_data("opam-repository-depth1.git.tar", tar)) return;
  const temp_folder folder;
  folder.run("tar xf '" + tar.string() + "'");
  event_loop loop(testing::options_of_run());
  git_mem::object_store store;
  archive_catalogue c;
  catalogue_update update;
  loop.run([&] {
    return read_commit("file://" + (folder.path() / "opam-repository-depth1.git").string(), store,
                       c, update);
  });
  const catalogue_counts n = c.counts();
  CHECK(n.opam_files == 18'793);
  CHECK(n.unavailable == 21);
  CHECK(n.archives == 11'496 - 18);  // these are of unavailable packages alone
  CHECK(n.alternatives == 77);
  CHECK(n.without_checksum == 15);
  CHECK(n.version_control == 4);
  CHECK(n.refused == 0);
  CHECK(n.faults == 0);
  CHECK(c.conflicts(9).empty());
}
