// SPDX-License-Identifier: MIT
// What both backends promise, each case over both.

#include "support/git_snapshot.hpp"
#include "support/policy.hpp"
#include "support/random_repository.hpp"

#include <fermata/git_mem/export_bare.hpp>
#include <fermata/git_mem/fetch.hpp>
#include <fermata/git_mem/repository.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/pause.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;

namespace {

// A backend, with what it stands on.
struct backend {
  object_store store;
  temp_folder folder;
  std::shared_ptr<repository> opened;
};

promise<> open_backend(backend& b, bool on_disk) {
  if (on_disk) {
    promise<std::shared_ptr<repository>> opening = create_disk_repository(b.folder.path().string());
    b.opened = co_await std::move(opening);
  } else {
    b.opened = memory_repository(b.store);
  }
}

// Runs a case over one backend.
template <typename Case>
void over(bool on_disk, Case one) {
  fermata::event_loop loop(fermata::testing::options_of_run());
  loop.run([&]() -> promise<> {
    backend b;
    promise<> opened = open_backend(b, on_disk);
    co_await opened;
    promise<> done = one(*b.opened);
    co_await done;
  });
}

template <typename T>
promise<std::string> error_of(promise<T> p) {
  try {
    co_await p;
  } catch (const failure& f) {
    co_return std::to_string(static_cast<int>(f.why())) + " " + f.what();
  }
  co_return "";
}

std::string reason_text(reason r, const std::string& text) {
  return std::to_string(static_cast<int>(r)) + " " + text;
}

std::string raw(const object_id& id) {
  return {reinterpret_cast<const char*>(id.data()), object_id::size_bytes};
}

new_object of(object_type type, std::string content) { return {type, std::move(content)}; }

// A commit of one file "a"; gives blob, tree and commit.
promise<std::vector<object_id>> add_commit(repository& r, std::string text) {
  const object_id blob = blob_id(text);
  const std::string tree = "100644 a" + std::string(1, '\0') + raw(blob);
  const object_id tree_id = name_object(object_type::tree, as_bytes(tree));
  std::vector<new_object> all;
  all.push_back(of(object_type::blob, text));
  all.push_back(of(object_type::tree, tree));
  all.push_back(of(object_type::commit, "tree " + tree_id.hex() +
                                            "\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 "
                                            "+0000\n\nm\n"));
  return r.add_objects(std::move(all));
}

ref_change set(std::string name, object_id to, std::optional<object_id> expected = {}) {
  ref_change c;
  c.name = std::move(name);
  c.to = to;
  c.expected = expected;
  return c;
}

ref_change remove(std::string name, std::optional<object_id> expected = {}) {
  ref_change c = set(std::move(name), {}, expected);
  c.what = ref_change::kind::remove;
  return c;
}

ref_change link(std::string name, std::string target) {
  ref_change c = set(std::move(name), {});
  c.what = ref_change::kind::symbolic;
  c.target = std::move(target);
  return c;
}

promise<> check_objects(repository& r) {
  promise<std::vector<object_id>> adding = add_commit(r, "some text");
  const std::vector<object_id> ids = co_await adding;
  REQUIRE(ids.size() == 3);
  CHECK(ids[0] == blob_id("some text"));
  promise<std::optional<object_info>> finding = r.find_object(ids[2]);
  std::optional<object_info> found = co_await finding;
  REQUIRE(found.has_value());
  CHECK(found->type == object_type::commit);
  finding = r.find_object(blob_id("absent"));
  found = co_await finding;
  CHECK_FALSE(found.has_value());
  promise<object> reading = r.get_object(ids[0], 9);
  const object read = co_await std::move(reading);
  CHECK(read.text() == "some text");
  CHECK(read.type == object_type::blob);
  promise<std::string> e = error_of(r.get_object(ids[0], 8));
  std::string said = co_await e;
  CHECK(said ==
        reason_text(reason::limit, "object " + ids[0].hex() + ": 9 bytes, the limit here is 8"));
  const object_id absent = blob_id("absent");
  e = error_of(r.get_object(absent, 8));
  said = co_await e;
  CHECK(said == reason_text(reason::not_found, "object " + absent.hex() + ": not in the store"));
  promise<std::vector<object_id>> searching = r.find_by_prefix(ids[1].hex(6));
  std::vector<object_id> named = co_await searching;
  CHECK(named == std::vector<object_id>{ids[1]});
  searching = r.find_by_prefix("00000000");
  named = co_await searching;
  CHECK(named.empty());
}

promise<> log_all(repository& r, object_id tip, std::vector<std::string>& out) {
  repository_log log(r, {1, tip});
  for (;;) {
    promise<std::optional<commit>> next = log.next();
    const std::optional<commit> c = co_await std::move(next);
    if (!c) co_return;
    out.push_back(c->id.hex());
  }
}

// Every seventh commit against the one seven before it.
promise<> diff_all(repository& r,
                   const std::vector<std::string>& commits,
                   std::vector<std::string>& out) {
  for (std::size_t i = 0; i + 7 < commits.size(); i += 7) {
    const object_id before = *object_id::from_hex(commits[i + 7]);
    const object_id after = *object_id::from_hex(commits[i]);
    promise<> comparing = diff_repository(r, before, after, [&out](const file_change& c) {
      out.push_back(c.old_id.hex() + " " + c.new_id.hex() + " " + c.letter() + " " + c.path);
      return fermata::ready();
    });
    co_await comparing;
  }
}

promise<> check_refusals(repository& r) {
  const object_id absent = blob_id("absent");
  const std::string tree = "100644 a" + std::string(1, '\0') + raw(absent);
  promise<std::string> e = error_of(r.add_objects({1, of(object_type::tree, tree)}));
  std::string said = co_await e;
  const std::string name = name_object(object_type::tree, as_bytes(tree)).hex();
  CHECK(said == reason_text(reason::not_found,
                            "tree " + name + ": blob " + absent.hex() + " is not in the store"));
  e = error_of(r.add_objects({1, of(object_type::tree, "100644 ..")}));
  said = co_await e;
  CHECK_THAT(said, Catch::EndsWith("tree byte 0: it ends inside an entry"));
  e = error_of(r.add_objects({1, of(object_type::commit, "x")}));
  said = co_await e;
  CHECK_THAT(said, Catch::EndsWith(": it has no tree"));
  e = error_of(
      r.add_objects({1, of(object_type::tag, "object " + absent.hex() + "\ntype tree\n")}));
  said = co_await e;
  CHECK_THAT(said, Catch::EndsWith("tree " + absent.hex() + " is not in the store"));
}

promise<> check_refs(repository& r) {
  promise<std::vector<object_id>> adding = add_commit(r, "one");
  std::vector<object_id> added = co_await adding;
  const object_id one = added[2];
  adding = add_commit(r, "two");
  added = co_await adding;
  const object_id two = added[2];
  std::vector<ref_change> all;
  all.push_back(link("HEAD", "refs/heads/main"));
  all.push_back(set("refs/heads/main", one, object_id()));
  all.push_back(set("refs/tags/t", two));
  promise<> changed = r.change_refs(all);
  co_await changed;
  changed = r.change_refs({1, set("HEAD", two, one)});
  co_await changed;
  promise<std::vector<reference>> listing = r.list_refs();
  const std::vector<reference> refs = co_await listing;
  REQUIRE(refs.size() == 3);
  CHECK(refs[0].name == "HEAD");
  CHECK(refs[0].symbolic_target == "refs/heads/main");
  CHECK(refs[0].id == two);
  CHECK(refs[1].id == two);
  CHECK(refs[2].name == "refs/tags/t");

  const object_id absent = blob_id("absent");
  const std::string main = "ref refs/heads/main";
  struct refused {
    ref_change what;
    reason why;
    std::string text;
  };
  const std::vector<refused> cases = {
      {set("refs/heads/main", one, one), reason::conflict, main + ": it stands at " + two.hex()},
      {set("refs/heads/main", one, object_id()), reason::conflict, main + ": it is there already"},
      {set("refs/heads/x", one, one), reason::conflict, "ref refs/heads/x: it is not there"},
      {remove("refs/heads/main", one), reason::conflict, main + ": it stands at " + two.hex()},
      {set("refs/heads/main/x", one), reason::conflict,
       "ref refs/heads/main/x: refs/heads/main is there"},
      {set("refs/heads", one), reason::conflict, "ref refs/heads: refs/heads/main is there"},
      {set("refs/heads/x", absent), reason::not_found,
       "ref refs/heads/x: object " + absent.hex() + " is not in the store"},
      {set("refs/heads/x", blob_id("one")), reason::corrupt,
       "ref refs/heads/x: object " + blob_id("one").hex() + " is a blob, no commit"},
      {set("refs/heads/a..b", one), reason::unsupported,
       "\"refs/heads/a..b\" is no name for a ref"},
      {link("HEAD", "HEAD"), reason::conflict, "ref HEAD: it stands for itself"},
  };
  for (const refused& c : cases) {
    std::vector<ref_change> both;
    both.push_back(set("refs/tags/beside", one));
    both.push_back(c.what);
    promise<std::string> e = error_of(r.change_refs(both));
    const std::string said = co_await e;
    CHECK(said == reason_text(c.why, c.text));
  }
  listing = r.list_refs();
  const std::vector<reference> after = co_await listing;
  CHECK(after.size() == 3);  // nothing of what was refused has happened

  std::vector<ref_change> moved;
  moved.push_back(remove("refs/heads/main", two));
  moved.push_back(set("refs/heads/main/x", one, object_id()));
  changed = r.change_refs(moved);
  co_await changed;
  listing = r.list_refs();
  const std::vector<reference> last = co_await listing;
  REQUIRE(last.size() == 3);
  CHECK(last[0].id.is_zero());
  CHECK(last[1].name == "refs/heads/main/x");
}

}  // namespace

TEST_CASE("objects are added and read, over either backend", "[git_mem][repository]") {
  over(GENERATE(false, true), check_objects);
}

TEST_CASE("what is not whole is refused in the same words, over either backend",
          "[git_mem][repository]") {
  over(GENERATE(false, true), check_refusals);
}

TEST_CASE("refs are compared and swapped, over either backend", "[git_mem][repository]") {
  over(GENERATE(false, true), check_refs);
}

TEST_CASE("a random repository reads the same from memory and from disk", "[git_mem][repository]") {
  const temp_folder folder, made;
  fill_randomly(made, 41, 60);
  object_store store;
  store.publish(*all_of(made));
  const std::string path = (folder.path() / "out").string();
  fermata::event_loop loop(fermata::testing::options_of_run());
  std::vector<std::string> walked[2];
  std::vector<std::string> refs[2];
  std::vector<std::string> logged[2];
  std::vector<std::string> changed[2];
  std::uint64_t different = 0;
  loop.run([&]() -> promise<> {
    promise<> exported = export_bare(store, path);
    co_await exported;
    promise<std::shared_ptr<repository>> opening = open_disk_repository(path);
    const std::shared_ptr<repository> disk = co_await std::move(opening);
    const std::unique_ptr<repository> memory = memory_repository(store);
    const object_id head = store.current()->find_ref("HEAD")->id;
    for (const int side : {0, 1}) {
      repository& r = side == 0 ? *memory : *disk;
      promise<> walking = walk_repository(r, head, [&](const tree_walk::entry& e) {
        walked[side].push_back(e.path + " " + e.id.hex());
        return fermata::ready();
      });
      co_await walking;
      promise<std::vector<reference>> listing = r.list_refs();
      const std::vector<reference> listed = co_await listing;
      for (const reference& ref : listed) {
        refs[side].push_back(ref.name + " " + ref.id.hex() + " " + ref.symbolic_target);
      }
      promise<> logging = log_all(r, head, logged[side]);
      co_await logging;
      promise<> comparing = diff_all(r, logged[side], changed[side]);
      co_await comparing;
    }
    const pack& all = *store.current()->packs[0];
    for (std::uint32_t i = 0; i < all.entry_count(); ++i) {
      promise<object> first = memory->get_object(all.entry(i).id, 1 << 20);
      const object a = co_await std::move(first);
      promise<object> second = disk->get_object(all.entry(i).id, 1 << 20);
      const object b = co_await std::move(second);
      if (a.text() != b.text() || a.type != b.type) ++different;
    }
  });
  CHECK(walked[0] == walked[1]);
  CHECK(walked[0].size() == lines_of(made.output("git ls-tree -r HEAD")).size());
  CHECK(refs[0] == refs[1]);
  CHECK(different == 0);
  CHECK(logged[0] == logged[1]);
  CHECK(logged[0] == lines_of(made.output("git log --format=%H")));
  CHECK(changed[0] == changed[1]);
  std::string expected;
  for (std::size_t i = 0; i + 7 < logged[0].size(); i += 7) {
    expected += made.output("git diff-tree -r --raw --no-renames " + logged[0][i + 7] + " " +
                            logged[0][i] + " | cut -d' ' -f3,4,5 | cut -c1-83 | tr '\\t' ' '");
  }
  CHECK(changed[0].size() == lines_of(expected).size());
  std::vector<std::string> short_changes;
  for (const std::string& line : changed[0]) short_changes.push_back(line.substr(0, 83));
  CHECK(short_changes == lines_of(expected));
}

TEST_CASE("the loop turns while a backend works", "[git_mem][repository]") {
  const bool on_disk = GENERATE(false, true);
  fermata::loop_options always;
  always.when = fermata::policy::always();
  fermata::event_loop loop(std::move(always));
  loop.run([&]() -> promise<> {
    backend b;
    promise<> opened = open_backend(b, on_disk);
    co_await opened;
    const std::string large(2 << 20, 'x');
    const std::uint64_t before = loop.metrics().looks;
    promise<std::vector<object_id>> adding =
        b.opened->add_objects({1, of(object_type::blob, large)});
    std::uint64_t turns = 0;
    while (adding.is_pending()) {
      ++turns;
      co_await fermata::pause();
    }
    const std::vector<object_id> ids = co_await adding;
    promise<object> reading = b.opened->get_object(ids[0], 4 << 20);
    while (reading.is_pending()) {
      ++turns;
      co_await fermata::pause();
    }
    const object read = co_await std::move(reading);
    CHECK(read.content.size() == large.size());
    CHECK(turns >= 10);
    CHECK(loop.metrics().looks > before + turns);
  });
}

TEST_CASE("a path that is no repository is told", "[git_mem][repository]") {
  const temp_folder folder;
  std::string said;
  fermata::event_loop loop(fermata::testing::options_of_run());
  loop.run([&]() -> promise<> {
    promise<std::string> e = error_of(open_disk_repository(folder.path().string()));
    said = co_await e;
  });
  CHECK_THAT(said, Catch::StartsWith(reason_text(reason::not_found,
                                                 "cannot open " + folder.path().string() + ": ")));
}

TEST_CASE("a log ends where history is cut, and says what is missing, over either backend",
          "[git_mem][repository]") {
  const temp_folder folder, made;
  fill_randomly(made, 43, 40);
  folder.run("git clone -q --bare --depth 5 'file://" + made.path().string() + "' cut.git");
  const std::string head = folder.output("git -C cut.git rev-parse HEAD").substr(0, 40);
  fermata::event_loop loop(fermata::testing::options_of_run());
  std::vector<std::string> logged[2];
  std::string errors[2];
  loop.run([&]() -> promise<> {
    object_store store;
    clone_options all;
    all.depth = 0;
    promise<fetch_result> fetching = fetch(store, (folder.path() / "cut.git").string(), all);
    co_await std::move(fetching);
    promise<std::shared_ptr<repository>> opening =
        open_disk_repository((folder.path() / "cut.git").string());
    const std::shared_ptr<repository> disk = co_await std::move(opening);
    const std::unique_ptr<repository> memory = memory_repository(store);
    for (const int side : {0, 1}) {
      repository& r = side == 0 ? *memory : *disk;
      promise<> logging = log_all(r, *object_id::from_hex(head), logged[side]);
      co_await logging;
      std::vector<std::string> none;
      promise<std::string> e = error_of(log_all(r, blob_id("absent"), none));
      errors[side] = co_await e;
    }
  });
  CHECK(logged[0] == logged[1]);
  CHECK(logged[1] == lines_of(folder.output("git -C cut.git log --format=%H")));
  CHECK(errors[0] ==
        reason_text(reason::not_found, "object " + blob_id("absent").hex() + ": not in the store"));
  CHECK(errors[0] == errors[1]);
}
