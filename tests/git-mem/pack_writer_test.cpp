// SPDX-License-Identifier: MIT
// What is reachable, against `git rev-list --objects`; packs written of it, against git's own
// index-pack and object by object.

#include "support/pack_builder.hpp"
#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/pack_writer.hpp>
#include <fermata/git_mem/reachability.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;
using fermata::test_loop;

namespace {

// A history with a merge, deltas, a submodule, an executable, a nested and an annotated tag.
class history {
public:
  history() {
    repo.run("git init -q -b main .");
    for (int i = 0; i < 12; ++i) {
      std::string text;
      for (int line = 0; line < 60; ++line) {
        text += "line " + std::to_string(line * (line == i ? 7 : 1)) + " of a long file\n";
      }
      repo.write("packages/a/long", text);
      repo.write("packages/p" + std::to_string(i) + "/opam", "opam " + std::to_string(i));
      commit("c" + std::to_string(i), i);
    }
    repo.run("git checkout -q -b topic HEAD~4");
    repo.write("side/file", "side");
    commit("side", 20);
    repo.run("git checkout -q main && git merge -q -m merge topic && chmod +x packages/p1/opam");
    repo.run(
        "git update-index --add --cacheinfo 160000,1234567890123456789012345678901234567890,sub");
    commit("last", 30);
    repo.run(
        "git tag -a -m t v1 HEAD~3 && git -c advice.nestedTag=false tag -a -m tt v2 v1 && "
        "git -c pack.threads=1 repack -qadf --depth=20");  // the same deltas in each run
  }

  void commit(const std::string& message, int at) const {
    const std::string date = std::to_string(1'700'000'000 + at * 100) + " +0000";
    repo.run("git add -A . && GIT_AUTHOR_DATE='" + date + "' GIT_COMMITTER_DATE='" + date +
             "' git commit -qm " + message);
  }
  [[nodiscard]] object_id rev(const std::string& name) const {
    return *object_id::from_hex(repo.output("git rev-parse '" + name + "'").substr(0, 40));
  }
  [[nodiscard]] std::set<std::string> rev_list(const std::string& arguments) const {
    std::set<std::string> ids;
    std::istringstream lines(repo.output("git rev-list --objects " + arguments));
    for (std::string line; std::getline(lines, line);) ids.insert(line.substr(0, 40));
    return ids;
  }
  [[nodiscard]] std::string pack(const std::string& arguments = "--all") const {
    return repo.output("git rev-list --objects " + arguments +
                       " | git pack-objects -q --stdout --delta-base-offset");
  }
  [[nodiscard]] snapshot_ptr load() const {
    analysed a = analyse(pack());
    REQUIRE(a.error == "");
    return snapshot_of(std::move(a.pack));
  }

  temp_folder repo;
};

const history& shared_history() {
  static const history h;
  return h;
}

std::set<std::string> names(const snapshot_ptr& of, const object_set& set) {
  std::set<std::string> ids;
  for (object_set::place at = 0; at < set.end();) {
    const object_set::search next = set.find_next(at);
    at = next.at;
    if (!next.found) continue;
    const auto [pack, entry] = set.entry_at(at++);
    ids.insert(of->packs[pack]->entry(entry).id.hex());
  }
  CHECK(ids.size() == set.size());
  return ids;
}

struct outcome {
  reachable_objects found;
  std::string error;
};

promise<outcome> attempt(snapshot_ptr from, reachability_request request) {
  outcome o;
  promise<reachable_objects> finding = find_reachable(std::move(from), std::move(request));
  try {
    o.found = co_await std::move(finding);
  } catch (const failure& f) {
    o.error = f.what();
  }
  co_return o;
}

outcome find(const snapshot_ptr& from, reachability_request request) {
  test_loop loop(fermata::testing::options_of_run());
  return loop.run([&] { return attempt(from, std::move(request)); });
}

struct packed {
  std::string bytes;
  written_pack result;
  std::vector<pack_entry> entries;
};

promise<packed> pack_of(snapshot_ptr from,
                        std::shared_ptr<const object_set> objects,
                        pack_writer_options options) {
  packed p;
  options.on_entry = [&p](const pack_entry& e) { p.entries.push_back(e); };
  pack_sink sink = [&p](std::span<const std::byte> piece) {
    CHECK(piece.size() <= 64 * 1024);
    p.bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return fermata::pause().as_promise();
  };
  promise<written_pack> writing =
      write_pack(std::move(from), std::move(objects), std::move(sink), std::move(options));
  p.result = co_await std::move(writing);
  co_return p;
}

packed write(const snapshot_ptr& from,
             std::shared_ptr<const object_set> objects,
             pack_writer_options options = {}) {
  test_loop loop(fermata::testing::options_of_run());
  return loop.run([&] { return pack_of(from, std::move(objects), std::move(options)); });
}

// The pack holds exactly the set's objects, each with its content, and its entries are as told.
void check_pack(const packed& p,
                const snapshot_ptr& from,
                const object_set& set,
                const snapshot_ptr& receiver = {}) {
  CHECK(p.result.bytes == p.bytes.size());
  CHECK(p.result.objects == set.size());
  analysed a = analyse(p.bytes, {}, receiver);
  REQUIRE(a.error == "");
  std::set<std::string> ids;
  REQUIRE(p.entries.size() == a.pack->entry_count());
  for (std::uint32_t i = 0; i < a.pack->entry_count(); ++i) {
    const pack_entry& e = a.pack->entry(i);
    const pack_entry& told = p.entries[i];
    ids.insert(e.id.hex());
    CHECK((told.id == e.id && told.offset == e.offset && told.size == e.size &&
           told.kind == e.kind && told.delta == e.delta));
    if (!receiver) CHECK(told.depth == e.depth);
  }
  CHECK(ids == names(from, set));
}

reachability_request of(std::vector<object_id> tips, std::vector<object_id> haves = {}) {
  reachability_request r;
  r.tips = std::move(tips);
  r.haves = std::move(haves);
  return r;
}

}  // namespace

TEST_CASE("find_reachable gives what git rev-list gives", "[git_mem][reachability]") {
  const history& h = shared_history();
  const snapshot_ptr s = h.load();
  const auto given = [&](reachability_request r) { return names(s, *find(s, r).found.objects); };
  CHECK(given(of({h.rev("main")})) == h.rev_list("main"));
  CHECK(given(of({h.rev("main"), h.rev("v2")})) == h.rev_list("--all"));
  CHECK(given(of({h.rev("main")}, {h.rev("topic")})) == h.rev_list("main ^topic"));
  CHECK(given(of({h.rev("main")}, {h.rev("main~1"), h.rev("v2")})) == h.rev_list("main ^main~1"));
  CHECK(given(of({h.rev("v2")}, {h.rev("main")})) == h.rev_list("v2 ^main"));
  CHECK(given(of({h.rev("main")}, {h.rev("main")})).empty());
  CHECK(given(of({h.rev("main:packages")})) == h.rev_list("main:packages"));
  CHECK(given(of({h.rev("main:packages/p1/opam")})).size() == 1);
  CHECK(given(of({h.rev("main")}, {blob_id("absent")})) == h.rev_list("main"));
}

TEST_CASE("find_reachable cuts history at its boundaries", "[git_mem][reachability]") {
  const history& h = shared_history();
  const snapshot_ptr s = h.load();
  reachability_request shallow = of({h.rev("main")});
  shallow.boundary = {h.rev("main")};
  const std::set<std::string> tip = names(s, *find(s, shallow).found.objects);
  CHECK(tip.size() == h.rev_list("main^{tree}").size() + 1);

  // The receiver has the parent alone, without its history: that is not had.
  reachability_request deeper = of({h.rev("main~2")}, {h.rev("main~1")});
  deeper.have_boundary = {h.rev("main~1")};
  const std::set<std::string> rest = names(s, *find(s, deeper).found.objects);
  CHECK(rest.count(h.rev("main~2").hex()) == 1);
  CHECK(rest.count(h.rev("main~1").hex()) == 0);
  CHECK(rest.count(h.rev("main~1^{tree}").hex()) == 0);

  snapshot cut = *s;
  cut.shallow = {h.rev("main")};
  const auto cut_ptr = std::make_shared<const snapshot>(std::move(cut));
  CHECK(names(cut_ptr, *find(cut_ptr, of({h.rev("main")})).found.objects) == tip);
}

TEST_CASE("find_reachable leaves out what a filter leaves out", "[git_mem][reachability]") {
  const history& h = shared_history();
  const snapshot_ptr s = h.load();
  const auto filtered = [&](const char* text) {
    reachability_request r = of({h.rev("main")});
    r.filter = object_filter::parse(text).value();
    return names(s, *find(s, r).found.objects);
  };
  for (const char* text :
       {"blob:none", "blob:limit=100", "blob:limit=1k", "blob:limit=1K", "tree:0", "tree:1",
        "tree:2", "tree:3", "tree:1k", "object:type=commit", "object:type=tree", "object:type=blob",
        "object:type=tag", "combine:tree:2+blob:limit=100", "combine:object%3atype=blob+tree%3A2",
        "combine:combine:tree:1"}) {
    CHECK(filtered(text) == h.rev_list("main --filter=" + std::string(text)));
  }
  for (const char* text :
       {"", "blob", "tree:", "tree:-1", "tree:x", "object:type=", "object:type=commits", "combine:",
        "combine:tree:1+", "combine:tree:1+blob", "blob:limit=", "blob:limit=1x", "blob:limit=1kk",
        "blob:limit=99999999999999999999", "blob:limit=18446744073709551615k", "sparse:oid=main"}) {
    CHECK_FALSE(object_filter::parse(text));
  }
  std::string deep;
  for (int i = 0; i < 8000; ++i) deep += "combine:";
  CHECK_FALSE(object_filter::parse(deep + "tree:1"));
}

TEST_CASE("find_reachable names what is missing or damaged", "[git_mem][reachability]") {
  pack_builder b;
  const std::string blob(20, '\x11');
  b.object(pack_builder::tree, "100644 x" + std::string(1, '\0') + blob);
  b.object(pack_builder::tree, "100644 x");
  b.object(pack_builder::blob, "hello");
  const object_id hello = blob_id("hello");
  b.object(pack_builder::tree,
           std::string("40000 x\0", 8) +
               std::string(reinterpret_cast<const char*>(hello.data()), object_id::size_bytes));
  const object_id absent = object_id::from_bytes(blob.data());
  b.object(pack_builder::commit, "tree " + absent.hex() + "\nparent " + hello.hex() + "\n\n");
  analysed a = analyse(b.finish());
  REQUIRE(a.error == "");
  std::vector<std::string> id;
  for (std::uint32_t i = 0; i < 5; ++i) id.push_back(a.pack->entry(i).id.hex());
  const snapshot_ptr s = snapshot_of(std::move(a.pack));
  const auto why = [&](const std::string& hex) {
    return find(s, of({*object_id::from_hex(hex)})).error;
  };
  CHECK(why(absent.hex()) == "object " + absent.hex() + ": not in the store");
  CHECK(why(id[0]) == "tree " + id[0] + ": object " + absent.hex() + ": not in the store");
  CHECK(why(id[1]) == "tree " + id[1] + ": tree byte 0: this is no entry");
  CHECK(why(id[3]) == "tree " + id[3] + ": object " + hello.hex() + ": it is a blob, no tree");
  CHECK(why(id[4]) == "commit " + hello.hex() + ": it is a blob");
}

TEST_CASE("write_pack writes every object of a set", "[git_mem][pack_writer]") {
  const history& h = shared_history();
  const snapshot_ptr s = h.load();
  const outcome all = find(s, of({h.rev("main"), h.rev("v2")}));
  const packed p = write(s, all.found.objects);
  check_pack(p, s, *all.found.objects);
  CHECK(p.result.deflated == 0);  // all bases are there
  CHECK(p.result.copied_deltas > 5);
  temp_folder into;
  into.write("it.pack", p.bytes);
  into.run("git init -q --bare x.git && cd x.git && git index-pack --strict --stdin < ../it.pack");
  into.run("cd x.git && git cat-file --batch-check --batch-all-objects | wc -l | grep -qx " +
           std::to_string(all.found.objects->size()));
}

TEST_CASE("write_pack inflates deltas whose base is left out", "[git_mem][pack_writer]") {
  const history& h = shared_history();
  const snapshot_ptr s = h.load();
  std::uint64_t deflated = 0;
  for (int back = 0; back < 8; ++back) {
    reachability_request r = of({h.rev("topic~" + std::to_string(back))});
    r.boundary = {r.tips};
    const outcome one = find(s, r);
    const packed p = write(s, one.found.objects);
    check_pack(p, s, *one.found.objects);
    deflated += p.result.deflated;
  }
  CHECK(deflated > 0);
}

TEST_CASE("write_pack names bases, inside and outside of a thin pack", "[git_mem][pack_writer]") {
  const history& h = shared_history();
  const snapshot_ptr s = h.load();
  const outcome all = find(s, of({h.rev("main"), h.rev("v2")}));
  pack_writer_options by_name;
  by_name.ofs_delta = false;
  const packed named = write(s, all.found.objects, by_name);
  check_pack(named, s, *all.found.objects);
  CHECK(named.bytes.size() > write(s, all.found.objects).bytes.size());

  // Whoever has main gets older commits as deltas on what is in it.
  reachability_request tip = of({h.rev("main")});
  tip.boundary = tip.tips;
  analysed main_only = analyse(write(s, find(s, tip).found.objects).bytes);
  const snapshot_ptr receiver = snapshot_of(std::move(main_only.pack));
  int needing = 0;
  for (int back = 2; back < 10; ++back) {
    reachability_request r = of({h.rev("main~" + std::to_string(back))}, tip.tips);
    r.boundary = r.tips;
    r.have_boundary = tip.tips;
    const outcome thin = find(s, r);
    pack_writer_options how;
    how.thin_bases = thin.found.had;
    const packed p = write(s, thin.found.objects, how);
    check_pack(p, s, *thin.found.objects, receiver);
    if (analyse(p.bytes).error.find("is missing") == std::string::npos) continue;
    ++needing;
    CHECK(p.result.deflated < write(s, thin.found.objects).result.deflated);
  }
  CHECK(needing > 0);
}

TEST_CASE("write_pack takes each object from the newest of several packs",
          "[git_mem][pack_writer]") {
  const history& h = shared_history();
  const snapshot_ptr whole = h.load();
  const outcome first = find(whole, of({h.rev("main~3")}));
  const outcome rest = find(whole, of({h.rev("main"), h.rev("v2")}, {h.rev("main~3")}));
  pack_writer_options how;
  how.thin_bases = rest.found.had;
  analysed old = analyse(write(whole, first.found.objects).bytes);
  auto store = std::make_shared<snapshot>();
  store->packs.push_back(std::move(old.pack));
  analysed fresh = analyse(write(whole, rest.found.objects, how).bytes, {},
                           std::make_shared<const snapshot>(*store));
  REQUIRE(fresh.error == "");
  store->packs.insert(store->packs.begin(), std::move(fresh.pack));
  analysed twice = analyse(h.pack("main~6"));
  store->packs.insert(store->packs.begin(), std::move(twice.pack));
  const snapshot_ptr s = store;
  const outcome all = find(s, of({h.rev("main"), h.rev("v2")}));
  CHECK(names(s, *all.found.objects) == h.rev_list("--all"));
  check_pack(write(s, all.found.objects), s, *all.found.objects);
}

TEST_CASE("find_reachable and write_pack look for waiters at each object",
          "[git_mem][reachability][pack_writer]") {
  const history& h = shared_history();
  const snapshot_ptr s = h.load();
  test_loop loop(fermata::testing::options_with(fermata::policy::always()));
  const outcome all = loop.run([&] { return attempt(s, of({h.rev("main"), h.rev("v2")})); });
  const std::uint64_t found = loop.metrics().looks;
  CHECK(found >= all.found.objects->size() / 2);  // no blob is read
  const packed p = loop.run([&] { return pack_of(s, all.found.objects, {}); });
  CHECK(loop.metrics().looks - found >= p.result.objects);
}
