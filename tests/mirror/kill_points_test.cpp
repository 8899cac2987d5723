// SPDX-License-Identifier: MIT
// All that a mirror does on disk, killed at each step of it: what it saves, and what it stores,
// collects and moves aside.

#include "kill_points.hpp"

#include "archive_place.hpp"
#include "store_support.hpp"

#include <fermata/git_mem/saved_store.hpp>
#include <fermata/mirror/data_directory.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <stdexcept>
#include <string>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;

namespace {

using lines = std::set<std::string>;

std::string repeated(char c) { return std::string(20'000, c); }

// ---- saving ----

generation numbered(const std::string& commit) {
  generation g;
  g.remote = "r";
  g.commit = commit;
  g.index = git_mem::growing_range(100'000);
  const std::string index = repeated(commit[0]);
  g.index.append(std::as_bytes(std::span(index)));
  return g;
}

// Twice the index and the repository: `from` has one.
void save_all(const fs::path& folder, const std::string& from, const teller& tell) {
  data_directory data(folder);
  event_loop loop;
  git_mem::object_store store;
  loop.run([&] { return git_mem::restore(store, from); });
  for (const char* commit : {"1", "2"}) {
    data.save(numbered(commit));
    tell(commit);
    loop.run([&] { return git_mem::save(store, data.store_path()); });
    tell("store");
  }
}

// What is there is whole, and not older than what was told.
void check_saved(const fs::path& folder, const lines& told) {
  data_directory data(folder);
  const loaded_generation loaded = data.load("r", "");
  CHECK(loaded.refused.empty());
  if (!told.empty()) REQUIRE(loaded.found);
  if (loaded.found) {
    const std::string commit = loaded.found->commit;
    CHECK(commit >= (told.contains("2") ? "2" : "1"));
    const auto& index = loaded.found->index;
    CHECK(std::string(reinterpret_cast<const char*>(index.data()), index.size()) ==
          repeated(commit[0]));
  }
  if (told.contains("store") || fs::exists(data.store_path())) {
    event_loop loop;
    git_mem::object_store store;
    loop.run([&] { return git_mem::restore(store, data.store_path()); });
    CHECK(store.current()->refs.size() == 2);
  }
  data.save(numbered("3"));  // and it goes on
  CHECK(data.load("r", "").found->commit == "3");
}

bool has_name(const fs::path& folder, const std::string& begin) {
  return std::any_of(fs::directory_iterator(folder), {}, [&](const fs::directory_entry& e) {
    return e.path().filename().string().starts_with(begin);
  });
}

// ---- archives ----

void keep_one(event_loop& loop, archive_store& store, const teller& tell, char c) {
  if (put_in(loop, store, {repeated(c), "end"}, {}) != "20003") throw std::runtime_error("not put");
  tell(std::string(1, c).c_str());
  loop.run([&store] { return store.save(); });
}

std::string archive_of(char c) {
  std::string bytes = repeated(c);
  bytes.append("end");
  return bytes;
}

using names = std::map<char, archive_hash>;

names names_of(const std::string& archives) {
  const temp_folder folder;
  names all;
  for (const char c : archives) {
    const std::string sum = fermata::test::sum_of(folder, "sha256sum", archive_of(c));
    all.emplace(c, hash("sha256=" + sum));
  }
  return all;
}

// Three archives: one stays, one is collected, one is changed on disk and moved aside; and then
// one more.
void keep_archives(const fs::path& folder, const names& of, const teller& tell) {
  event_loop loop;
  const store_ptr store = open(loop, folder);
  for (const char c : {'a', 'b', 'd'}) keep_one(loop, *store, tell, c);
  tell("damaging");
  std::ofstream(store->path_of(of.at('d'))) << "changed";
  if (check(loop, *store).damaged.size() != 1) throw std::runtime_error("not damaged");
  tell("checked");
  for (const int now : {0, 200}) {
    loop.run([&]() -> promise<> {
      return store
          ->collect([&](const stored_archive& s) { return s.key() == of.at('a'); },
                    std::chrono::seconds(100), std::chrono::sys_seconds(std::chrono::seconds(now)))
          .map([](std::size_t) {});
    });
    tell("collecting");
  }
  keep_one(loop, *store, tell, 'e');
  tell("sizes");
}

void check_archives(const fs::path& folder, const names& of, const lines& told) {
  event_loop loop;
  const store_ptr store = open(loop, folder);
  CHECK(store->refused().empty());
  if (!told.contains("damaging")) CHECK(store->counts().damaged == 0);
  if (told.contains("sizes")) CHECK(store->counts().unverified == 0);
  const auto is_lost = [&](const char* c) { return told.contains(c) && !store->find(of.at(*c)); };
  CHECK_FALSE(is_lost("a"));
  CHECK_FALSE(is_lost("e"));
  if (!told.contains("collecting")) CHECK_FALSE(is_lost("b"));
  const check_report report = check(loop, *store);
  if (!told.contains("damaging") || told.contains("checked")) CHECK(report.damaged.empty());
  CHECK(report.missing == 0);
  CHECK(files_in(folder / ".new") == 0);
  CHECK(put_in(loop, *store, {"hel", "lo"}, {sha256}) == "5");  // and it goes on
}

using life = std::function<void(const fs::path&, const teller&)>;

// Lives in new folders, killed one step later in each, until one comes to its end; `look` sees what
// each has left. Returns: how many there were.
long kill_at_each_step(const life& live,
                       const std::function<void(const fs::path&, const lines&)>& look) {
  bool is_over = false;
  long n = 0;
  while (!is_over) {
    ++n;
    INFO("killed at step " << n);
    const temp_folder folder;
    lines told;
    is_over = lives_past_step(
        n, [&](const teller& tell) { live(folder.path(), tell); },
        [&told](const char* line) { told.insert(line); });
    look(folder.path(), told);
  }
  return n;
}

bool is_skipped() {
  if (!has_kill_points) WARN("skipped: not under ThreadSanitizer");
  return !has_kill_points;
}

}  // namespace

TEST_CASE("kill -9 at each step of a save leaves the index and the repository whole",
          "[mirror][data][kill]") {
  if (is_skipped()) return;
  const temp_folder made;
  make_repository(made);
  const std::string from = (made.path() / "store").string();
  {
    event_loop loop;
    git_mem::object_store store;
    loop.run([&]() -> promise<> {
      return clone_into("file://" + (made.path() / "r").string(), store)
          .map([](const git_mem::object_id&) {});
    });
    loop.run([&] { return git_mem::save(store, from); });
  }
  std::size_t in_index = 0;
  std::size_t in_store = 0;
  const life live = [&](const fs::path& folder, const teller& tell) {
    save_all(folder, from, tell);
  };
  const long n = kill_at_each_step(live, [&](const fs::path& folder, const lines& told) {
    in_index += fs::exists(folder / "index.new") ? 1 : 0;
    in_store += has_name(folder, "store.") ? 1 : 0;
    check_saved(folder, told);
  });
  CHECK(n > 20);
  CHECK(in_index >= 4);  // in the middle of it
  CHECK(in_store >= 4);
}

TEST_CASE("kill -9 at each step of storing, checking and collecting leaves archives whole",
          "[mirror][store][kill]") {
  if (is_skipped()) return;
  const names of = names_of("abde");
  std::size_t half_named = 0;
  const life live = [&](const fs::path& folder, const teller& tell) {
    keep_archives(folder / "cache", of, tell);
  };
  const long n = kill_at_each_step(live, [&](const fs::path& folder, const lines& told) {
    const fs::path cache = folder / "cache";
    if (told.contains("collecting") && !told.contains("e")) {
      half_named += files_in(cache / "md5") != files_in(cache / "sha512") ? 1 : 0;
    }
    check_archives(cache, of, told);
  });
  CHECK(n > 60);
  CHECK(half_named >= 2);  // one that was being collected, one that was being stored
}
