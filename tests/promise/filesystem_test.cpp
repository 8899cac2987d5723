// SPDX-License-Identifier: MIT
#include "file_support.hpp"
#include "stream_support.hpp"
#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/promise/directory_walk.hpp>
#include <fermata/promise/filesystem.hpp>

#include <catch2/catch.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using fermata::bytes_of;
using fermata::cancel;
using fermata::contract_error;
using fermata::directory_entry;
using fermata::directory_walk;
using fermata::error;
using fermata::event_loop;
using fermata::file_status;
using fermata::file_type;
using fermata::is_cancelled;
using fermata::loop_closed;
using fermata::promise;
using fermata::temp_file;
using fermata::walk_options;
using fermata::test::failure_of;
using fermata::test::open_descriptors;
using fermata::test::temp_folder;
using fermata::test::until_pool_rests;
using fermata::test::until_settled;
using fermata::testing::options_of_run;

namespace fs = std::filesystem;

namespace {

struct place : fermata::test::place {
  template <typename Start>
  auto run(Start start) {
    return loop.run(start);
  }
};

using maybe_entry = std::optional<directory_entry>;

promise<std::vector<std::string>> names_of(directory_walk& walk, std::string prefix) {
  std::vector<std::string> names;
  for (;;) {
    promise<maybe_entry> coming = walk.next();
    const maybe_entry entry = co_await std::move(coming);
    if (!entry) break;
    CHECK(entry->path.starts_with(prefix));
    names.push_back(entry->path.substr(prefix.size()));
  }
  co_return names;
}

std::vector<std::string> sorted(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

// ---- names ----

TEST_CASE("names are made, looked at, renamed and removed", "[promise][filesystem]") {
  place at;
  const std::string folder = at.path("folder");
  const std::string a = at.path("folder/a");
  const std::string b = at.path("b");
  at.run([&] { return fermata::make_directory(folder); });
  at.folder.write("folder/a", "abc");
  const file_status status = at.run([&] { return fermata::get_status(a); });
  CHECK(status.type == file_type::regular);
  CHECK(status.size == 3);
  CHECK(status.owner == ::getuid());
  CHECK(at.run([&] { return fermata::get_status(folder); }).type == file_type::directory);
  CHECK_FALSE(at.run([&] { return fermata::find_status(b); }));
  at.run([&] { return fermata::rename_file(a, b); });
  CHECK(at.run([&] { return fermata::find_status(b); }).value().inode == status.inode);
  at.run([&] { return fermata::make_symlink("b", at.path("link")); });
  CHECK(at.run([&] { return fermata::read_symlink(at.path("link")); }) == "b");
  CHECK(at.run([&] { return fermata::get_status(at.path("link")); }).inode == status.inode);
  at.run([&] { return fermata::remove_file(at.path("link")); });
  at.run([&] { return fermata::remove_file(b); });
  at.run([&] { return fermata::remove_directory(folder); });
  CHECK(fs::is_empty(at.folder.path()));
}

TEST_CASE("a time of change is told", "[promise][filesystem]") {
  place at;
  at.folder.write("a", "");
  const timespec times[2] = {{1'700'000'000, 5000}, {1'700'000'000, 5000}};
  REQUIRE(::utimensat(AT_FDCWD, at.path("a").c_str(), times, 0) == 0);
  const auto modified = at.run([&] { return fermata::get_status(at.path("a")); }).modified;
  CHECK(modified.time_since_epoch() ==
        std::chrono::seconds(1'700'000'000) + std::chrono::microseconds(5));
}

TEST_CASE("errors name the operation and the path", "[promise][filesystem]") {
  place at;
  const std::string none = at.path("none");
  const std::string why = ": no such file or directory (uv ENOENT)";
  const auto says = [&](auto start) { return failure_of(at.loop, start()); };
  CHECK(says([&] { return fermata::get_status(none); }) == "cannot look at " + none + why);
  CHECK(says([&] { return fermata::make_directory(none + "/a"); }) ==
        "cannot make the directory " + none + "/a" + why);
  CHECK(says([&] { return fermata::make_symlink("x", none + "/a"); }) ==
        "cannot make the symlink " + none + "/a" + why);
  CHECK(says([&] { return fermata::read_symlink(none); }) ==
        "cannot read the symlink " + none + why);
  CHECK(says([&] { return fermata::rename_file(none, none + "2"); }) ==
        "cannot rename " + none + " to " + none + "2" + why);
  CHECK(says([&] { return fermata::remove_file(none); }) == "cannot remove " + none + why);
  CHECK(says([&] { return fermata::remove_directory(none); }) == "cannot remove " + none + why);
  CHECK(says([&] { return fermata::read_file(none, 1); }) == "cannot open " + none + why);
  CHECK(says([&] { return fermata::replace_file(none + "/a", ""); }) ==
        "cannot make a file in " + none + "/" + why);
  CHECK(says([&] { return fermata::make_temp_file(none); }) ==
        "cannot make a file in " + none + "/" + why);
  at.folder.write("a", "");
  CHECK(says([&] { return fermata::make_directories(at.path("a/b")); }) ==
        "cannot make the directory " + at.path("a/b") + ": not a directory (uv ENOTDIR)");
}

TEST_CASE("trees are made and removed", "[promise][filesystem]") {
  place at;
  at.run([&] { return fermata::make_directories(at.path("a/b/c")); });
  at.run([&] { return fermata::make_directories(at.path("a/b/c")); });
  at.folder.write("a/b/c/file", "x");
  at.folder.write("kept/file", "x");
  fs::create_symlink(at.path("kept"), at.path("a/link"));
  CHECK(at.run([&] { return fermata::remove_tree(at.path("a")); }) == 5);
  CHECK_FALSE(fs::exists(at.path("a")));
  CHECK(fs::exists(at.path("kept/file")));
  CHECK(at.run([&] { return fermata::remove_tree(at.path("a")); }) == 0);
}

// ---- whole files ----

TEST_CASE("a whole file is read up to a limit", "[promise][filesystem]") {
  place at;
  const std::string text(3'000'000, 'x');
  at.folder.write("a", text);
  at.folder.write("empty", "");
  const std::string a = at.path("a");
  CHECK(at.run([&] { return fermata::read_file(a, text.size()); }) == text);
  CHECK(at.run([&] { return fermata::read_file(a, SIZE_MAX); }) == text);
  CHECK(failure_of(at.loop, fermata::read_file(a, text.size() - 1)) ==
        "cannot read " + a + ": it has more than 2999999 bytes");
  CHECK(failure_of(at.loop, fermata::read_file(a, 0)) ==
        "cannot read " + a + ": it has more than 0 bytes");
  CHECK(at.run([&] { return fermata::read_file(at.path("empty"), 0); }).empty());
  CHECK_THAT(at.run([&] { return fermata::read_file("/proc/self/status", 100'000); }),
             Catch::StartsWith("Name:"));  // says it has no bytes
}

TEST_CASE("a file is replaced as a whole", "[promise][filesystem]") {
  place at;
  at.folder.write("a", "old");
  const std::string a = at.path("a");
  at.run([&] { return fermata::replace_file(a, "new content", 0640); });
  CHECK(fermata::test::read_file(a) == "new content");
  CHECK(at.run([&] { return fermata::get_status(a); }).mode == 0640);
  at.run([&] { return fermata::replace_file(at.path("b"), ""); });
  CHECK(fermata::test::read_file(at.path("b")).empty());
  CHECK(std::distance(fs::directory_iterator(at.folder.path()), fs::directory_iterator()) == 2);
}

TEST_CASE("a replacement that fails leaves nothing behind", "[promise][filesystem]") {
  place at;
  at.folder.write("a/file", "x");
  const std::string a = at.path("a");
  CHECK_THAT(failure_of(at.loop, fermata::replace_file(a, "x")),
             Catch::EndsWith(" to " + a + ": illegal operation on a directory (uv EISDIR)"));
  CHECK(std::distance(fs::directory_iterator(at.folder.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("work on names that has not started is cancelled at once", "[promise][filesystem]") {
  place at;
  at.folder.write("a", "old");
  at.loop.pool().set_bounds({0, 0});
  const promise<> replacing = fermata::replace_file(at.path("a"), "new");
  const promise<> removing = fermata::remove_file(at.path("a"));
  cancel(replacing);
  cancel(removing);
  CHECK(is_cancelled(replacing.error()));
  CHECK(is_cancelled(removing.error()));
  at.loop.pool().set_bounds({0, 1});
  CHECK(at.run([&] { return fermata::read_file(at.path("a"), 9); }) == "old");
}

TEST_CASE("the end of a loop ends what waits for names", "[promise][filesystem]") {
  promise<file_status> waiting;
  {
    event_loop loop;
    loop.pool().set_bounds({0, 0});
    waiting = fermata::get_status("/");
  }
  CHECK_THROWS_AS(std::move(waiting).get(), loop_closed);
}

// ---- temporary files ----

TEST_CASE("a temporary file goes with its owner", "[promise][filesystem]") {
  place at;
  const std::string folder = at.folder.path().string();
  const auto before = open_descriptors();
  std::string path;
  {
    temp_file temp = at.run([&] { return fermata::make_temp_file(folder); });
    path = temp.path();
    CHECK(path.starts_with(folder + "/.fermata-"));
    at.run([&] { return temp.opened().write_at(0, bytes_of("abc")); });
    CHECK(fermata::test::read_file(path) == "abc");
    CHECK(at.run([&] { return temp.opened().status(); }).mode == 0600);
  }
  at.run([&] { return until_pool_rests(at.loop); });
  CHECK_FALSE(fs::exists(path));
  CHECK(open_descriptors() <= before);
}

TEST_CASE("a temporary file that is kept stays under its new name", "[promise][filesystem]") {
  place at;
  {
    temp_file temp = at.run([&] { return fermata::make_temp_file(at.folder.path()); });
    at.run([&] { return temp.opened().write_at(0, bytes_of("abc")); });
    at.run([&] { return temp.keep_as(at.path("kept")); });
    CHECK(temp.path() == at.path("kept"));
  }
  at.run([&] { return until_pool_rests(at.loop); });
  CHECK(fermata::test::read_file(at.path("kept")) == "abc");
}

TEST_CASE("a temporary file that nobody takes is removed", "[promise][filesystem]") {
  const temp_folder folder;
  {
    event_loop loop;
    const promise<temp_file> made = fermata::make_temp_file(folder.path());
    loop.run([&] { return until_settled(made); });
  }
  CHECK(fs::is_empty(folder.path()));
}

// ---- walks ----

TEST_CASE("a walk gives every entry, a directory before what is in it", "[promise][walk]") {
  place at;
  at.folder.write("a/b/c", "x");
  at.folder.write("a/d", "x");
  at.folder.write("e", "x");
  fs::create_symlink(at.path("a"), at.path("link"));
  directory_walk walk(at.folder.path());
  const auto names = at.run([&] { return names_of(walk, at.path("")); });
  CHECK(sorted(names) == std::vector<std::string>{"a", "a/b", "a/b/c", "a/d", "e", "link"});
  const auto place_of = [&](const std::string& n) {
    return std::find(names.begin(), names.end(), n);
  };
  CHECK(place_of("a") < place_of("a/b"));
  CHECK(place_of("a/b") < place_of("a/b/c"));
  CHECK(at.run([&] { return walk.next(); }) == std::nullopt);
}

TEST_CASE("an entry says what it is and how deep it stands", "[promise][walk]") {
  place at;
  at.folder.write("a/b", "x");
  directory_walk walk(at.folder.path());
  const auto first = at.run([&] { return walk.next(); });
  CHECK(first.value().type == file_type::directory);
  CHECK(first.value().depth == 0);
  const auto second = at.run([&] { return walk.next(); });
  CHECK(second.value().type == file_type::regular);
  CHECK(second.value().depth == 1);
  CHECK(second.value().path == at.path("a/b"));
}

TEST_CASE("a walk may stay in one directory", "[promise][walk]") {
  place at;
  at.folder.write("a/b/c", "x");
  walk_options flat;
  flat.recursive = false;
  directory_walk walk(at.folder.path(), flat);
  CHECK(at.run([&] { return names_of(walk, at.path("")); }) == std::vector<std::string>{"a"});
}

TEST_CASE("a walk takes entries in batches, as they are asked for", "[promise][walk]") {
  place at;
  for (int i = 0; i < 1000; ++i) at.folder.write("f" + std::to_string(i), "");
  directory_walk walk(at.folder.path());
  at.run([&] { return walk.next(); });
  at.loop.pool().set_bounds({0, 0});  // no more are read
  for (int i = 1; i < 256; ++i) CHECK(at.run([&] { return walk.next(); }));
  const promise<maybe_entry> next = walk.next();
  CHECK(next.is_pending());
  CHECK_THROWS_AS(at.run([&] { return walk.next(); }), contract_error);
  cancel(next);
  at.run([&] { return until_settled(next); });
  CHECK(is_cancelled(next.error()));
  at.loop.pool().set_bounds({0, 1});
  CHECK(at.run([&] { return names_of(walk, at.path("")); }).size() == 1000 - 256);
}

TEST_CASE("a walk tells what it cannot read and goes on", "[promise][walk]") {
  place at;
  const std::string none = at.path("none");
  directory_walk missing(none);
  CHECK_THROWS_WITH(at.run([&] { return missing.next(); }),
                    "cannot read " + none + ": no such file or directory (uv ENOENT)");
  CHECK(at.run([&] { return missing.next(); }) == std::nullopt);

  at.folder.write("a/b/c", "x");
  walk_options shallow;
  shallow.most_depth = 1;
  directory_walk walk(at.folder.path(), shallow);
  CHECK(at.run([&] { return walk.next(); }).value().path == at.path("a"));
  CHECK(at.run([&] { return walk.next(); }).value().path == at.path("a/b"));
  CHECK_THROWS_WITH(at.run([&] { return walk.next(); }),
                    "cannot read " + at.path("a/b") + ": directories are nested more than 1 deep");
  CHECK(at.run([&] { return walk.next(); }) == std::nullopt);
}

TEST_CASE("a walk that is dropped closes its directories", "[promise][walk]") {
  place at;
  at.folder.write("a/b/c/d", "x");
  for (int i = 0; i < 300; ++i) at.folder.write("a/b/c/" + std::to_string(i), "");
  at.run([&] { return fermata::get_status("/"); });
  at.run([&] { return until_pool_rests(at.loop); });
  const auto before = open_descriptors();
  {
    directory_walk walk(at.folder.path());
    at.run([&] { return walk.next(); });
    CHECK(open_descriptors() > before);
  }
  at.run([&] { return until_pool_rests(at.loop); });
  CHECK(open_descriptors() == before);
}

TEST_CASE("the end of a loop ends a walk", "[promise][walk]") {
  promise<maybe_entry> waiting;
  {
    event_loop loop;
    loop.pool().set_bounds({0, 0});
    directory_walk walk("/");
    waiting = walk.next();
  }
  CHECK_THROWS_AS(std::move(waiting).get(), loop_closed);
}
