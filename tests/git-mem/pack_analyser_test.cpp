// SPDX-License-Identifier: MIT
// Good packs, from git and by hand, in pieces of all sizes, against what git says of each object.

#include "support/pack_builder.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/object_reader.hpp>
#include <fermata/git_mem/pack_analyser.hpp>

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <sstream>
#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using builder = pack_builder;

namespace {

struct known_object {
  std::string type;
  std::string content;
};

// What `git cat-file --batch` prints: "<id> <type> <size>\n<content>\n" for each.
std::map<std::string, known_object> parse_batch(const std::string& batch) {
  std::map<std::string, known_object> out;
  std::size_t at = 0;
  while (at < batch.size()) {
    const std::size_t end = batch.find('\n', at);
    std::istringstream head(batch.substr(at, end - at));
    std::string id;
    known_object o;
    std::size_t size = 0;
    head >> id >> o.type >> size;
    o.content = batch.substr(end + 1, size);
    out.emplace(id, o);
    at = end + 1 + size + 1;
  }
  return out;
}

std::string random_text(std::mt19937& random, std::size_t lines) {
  std::string text;
  for (std::size_t i = 0; i < lines; ++i) text += "line " + std::to_string(random() % 5000) + "\n";
  return text;
}

// Commits that change a few of many files, so that trees and blobs become deltas.
void grow(const temp_folder& repo, std::mt19937& random, int commits) {
  for (int c = 0; c < commits; ++c) {
    for (int k = 0; k < 4; ++k) {
      const std::string dir = "d" + std::to_string(random() % 5);
      const std::string name = dir + "/f" + std::to_string(random() % 30);
      std::string old;
      if (std::filesystem::exists(repo.path() / name)) old = read_file(repo.path() / name);
      repo.write(name, old + random_text(random, 1 + random() % 60));
    }
    repo.run("git add -A && git commit -qm 'commit " + std::to_string(c) + "'");
  }
}

void check_equal(const analysed& a, const std::map<std::string, known_object>& known) {
  REQUIRE(a.error == "");
  REQUIRE(a.pack->object_count() == known.size());
  std::vector<object_id> ids;
  for (std::uint32_t i = 0; i < a.pack->entry_count(); ++i) ids.push_back(a.pack->entry(i).id);
  auto s = std::make_shared<snapshot>();
  s->packs.push_back(std::shared_ptr<const pack>(a.pack.get(), [](const pack*) {}));
  for (const object_id& id : ids) {
    const auto at = known.find(id.hex());
    REQUIRE(at != known.end());
    const object o = read_object(s, id, 100 << 20);
    CHECK(type_name(o.type) == at->second.type);
    CHECK((o.text() == at->second.content));
    CHECK(s->find_object(id)->size_bytes == at->second.content.size());
  }
}

}  // namespace

TEST_CASE("pack_analyser finds what git finds, in pieces of any size", "[git_mem][pack]") {
  std::mt19937 random(GENERATE(1U, 2U, 3U));
  const temp_folder repo;
  repo.run("git init -q .");
  grow(repo, random, 12);
  repo.run("git tag -a -m 'a tag' t1");
  const auto known = parse_batch(repo.output("git cat-file --batch --batch-all-objects"));
  const std::string options = GENERATE("--delta-base-offset --depth=50", "--depth=5", "--depth=0");
  const std::string pack =
      repo.output("git pack-objects --all --stdout -q " + options + " </dev/null");
  pack_limits limits;
  SECTION("whole") { check_equal(analyse(pack, limits), known); }
  SECTION("byte by byte") {
    check_equal(analyse_in_pieces(pack, [] { return std::size_t{1}; }), known);
  }
  SECTION("in random pieces, with hardly any cache") {
    limits.cache_bytes = 1;
    check_equal(analyse_in_pieces(
                    pack, [&] { return std::size_t{1} + random() % 999; }, limits),
                known);
  }
}

TEST_CASE("pack_analyser resolves ref deltas that come before their bases", "[git_mem][pack]") {
  builder b;
  const std::string first = "the first of them", second = "the second", third = "the third";
  b.ref_delta(blob_id(second), make_delta(second.size(), third.size(), insert_ops(third)));
  b.ref_delta(blob_id(first), make_delta(first.size(), second.size(), insert_ops(second)));
  const std::uint64_t at = b.object(builder::blob, first);
  b.ofs_delta(at, make_delta(first.size(), 5, insert_ops("fifth")));
  const analysed a = analyse(b.finish());
  REQUIRE(a.error == "");
  CHECK(a.progress.deferred == 2);
  CHECK(a.progress.longest_chain == 2);
  for (const std::string& text : {first, second, third, std::string("fifth")}) {
    CHECK(a.pack->find(blob_id(text)));
  }
}

TEST_CASE("pack_analyser resolves a waiting tree of deltas, each base once", "[git_mem][pack]") {
  // All deltas precede their base; node i is a delta on node i / 3.
  builder b;
  const auto text = [](int i) { return "node number " + std::to_string(i); };
  for (int i = 200; i > 0; --i) {
    const std::string base = text(i / 3);
    b.ref_delta(blob_id(base), make_delta(base.size(), text(i).size(), insert_ops(text(i))));
  }
  b.object(builder::blob, text(0));
  const analysed a = analyse(b.finish());
  REQUIRE(a.error == "");
  CHECK(a.pack->object_count() == 201);
  CHECK(a.progress.longest_chain == 5);
}

TEST_CASE("pack_analyser takes bases of a thin pack from the store", "[git_mem][pack]") {
  const temp_folder repo;
  std::mt19937 random(9);
  repo.run("git init -q .");
  grow(repo, random, 6);
  repo.run("git tag old");
  grow(repo, random, 6);
  const std::string base = repo.output("echo old | git pack-objects --revs --stdout -q");
  const std::string thin =
      repo.output("printf 'HEAD\\n^old\\n' | git pack-objects --revs --thin --stdout -q");
  const snapshot_ptr before = snapshot_of(analyse(base).pack);
  CHECK_THAT(analyse(thin).error, Catch::Contains("is missing"));
  analysed a = analyse_in_pieces(
      thin, [] { return std::size_t{7}; }, {}, before);
  REQUIRE(a.error == "");
  auto after = std::make_shared<snapshot>(*before);
  after->packs.insert(after->packs.begin(), std::shared_ptr<const pack>(std::move(a.pack)));
  const auto known = parse_batch(repo.output("git cat-file --batch --batch-all-objects"));
  for (const auto& [id, o] : known) {
    const object read = read_object(after, *object_id::from_hex(id));
    CHECK((read.text() == o.content));
  }
}

TEST_CASE("pack_analyser keeps no large blob in memory and reads it back", "[git_mem][pack]") {
  std::string large(3'000'000, ' ');
  std::mt19937 random(4);
  for (char& c : large) c = static_cast<char>('a' + random() % 16);
  builder b;
  const std::uint64_t base = b.object(builder::blob, large);
  b.ofs_delta(base,
              make_delta(3'000'000, 2'000'000, copy_op(5, 1'000'000) + copy_op(9, 1'000'000)));
  const analysed a = analyse_in_pieces(b.finish(), [] { return std::size_t{65536}; });
  REQUIRE(a.error == "");
  CHECK(a.progress.largest_object == 3'000'000);
  CHECK(a.dearest <= std::chrono::microseconds(300));
  CHECK(a.pack->find(blob_id(large)));
  CHECK(a.pack->find(blob_id(large.substr(5, 1'000'000) + large.substr(9, 1'000'000))));
}

TEST_CASE("pack_analyser resolves a chain of 4,000 deltas in small units", "[git_mem][pack]") {
  const std::string base(2000, 'b');
  const auto text = [&base](int i) { return base + "version " + std::to_string(i); };
  const auto delta = [&](int i) {
    const std::string ops = copy_op(0, 2000) + insert_ops(text(i).substr(2000));
    return make_delta(text(i - 1).size(), text(i).size(), ops);
  };
  builder b;
  const bool waiting = GENERATE(false, true);
  if (waiting) {
    for (int i = 4000; i > 0; --i) b.ref_delta(blob_id(text(i - 1)), delta(i));
    b.object(builder::blob, text(0));
  } else {
    std::uint64_t at = b.object(builder::blob, text(0));
    for (int i = 1; i <= 4000; ++i) at = b.ofs_delta(at, delta(i));
  }
  const analysed a = analyse_in_pieces(b.finish(), [] { return std::size_t{65536}; });
  REQUIRE(a.error == "");
  CHECK(a.progress.longest_chain == 4000);
  CHECK(a.progress.deferred == (waiting ? 4000 : 0));
  CHECK(a.dearest <= std::chrono::microseconds(300));
  CHECK(a.pack->find(blob_id(text(4000))));
}

TEST_CASE("pack_analyser names the real repository as git does", "[git_mem][pack]") {
  std::filesystem::path tar;
  if (!find_shared_data("opam-repository-depth1.git.tar", tar)) return;
  const temp_folder folder;
  folder.run("tar xf '" + std::filesystem::absolute(tar).string() + "'");
  const std::string pack = folder.output("cat */objects/pack/*.pack");
  analysed a = analyse_in_pieces(
      pack, [] { return std::size_t{65536}; }, {}, {}, std::chrono::microseconds(50));
  REQUIRE(a.error == "");
  CHECK(a.pack->object_count() == 42156);
  CHECK(a.progress.longest_chain == 11);
  const std::string list = folder.output("git -C * cat-file --batch-check --batch-all-objects");
  std::istringstream lines(list);
  std::string id, type;
  std::uint64_t size = 0, bad = 0;
  while (lines >> id >> type >> size) {
    const auto n = a.pack->find(*object_id::from_hex(id));
    if (!n || a.pack->entry(*n).size != size || type_name(a.pack->entry(*n).type()) != type) ++bad;
  }
  CHECK(bad == 0);
}

TEST_CASE("pack_analyser takes a real thin pack on top of its store", "[git_mem][pack]") {
  std::filesystem::path tar, thin;
  if (!find_shared_data("opam-repository-recent.git.tar", tar)) return;
  if (!find_shared_data("opam-repository-thin-old-new-depth1.pack", thin)) return;
  const temp_folder folder;
  folder.run("tar xf '" + std::filesystem::absolute(tar).string() + "'");
  const std::string pack = folder.output("cat */objects/pack/*.pack");
  const snapshot_ptr before = snapshot_of(
      analyse_in_pieces(
          pack, [] { return std::size_t{65536}; }, {}, {}, std::chrono::microseconds(50))
          .pack);
  CHECK(before->object_count() == 43388);
  const analysed a = analyse(read_file(thin), {}, before);
  CHECK(a.error == "");
  CHECK(a.progress.objects_done == 253);
}
