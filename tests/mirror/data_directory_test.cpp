// SPDX-License-Identifier: MIT
#include <fermata/loop/error.hpp>
#include <fermata/mirror/data_directory.hpp>

#include <catch2/catch.hpp>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

using namespace fermata::mirror;
namespace fs = std::filesystem;

namespace {

struct temporary_folder {
  temporary_folder() {
    std::string pattern = (fs::temp_directory_path() / "fermata-data-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~temporary_folder() { fs::remove_all(path); }
  std::string path;
};

generation sample(std::string_view index) {
  generation g;
  g.remote = "git://example.org/repo";
  g.branch = "master";
  g.commit = "97014be61691efb695da5de8e860cba5d74fa1f5";
  g.commit_time = std::chrono::sys_seconds(std::chrono::seconds(1787409630));
  g.files = 3;
  g.etag = "\"5742c8d735a3\"";
  g.repo = "opam-version: \"2.0\"\n\xff";
  g.version = "0.9.0\n";
  g.notes = {"a: left out"};
  g.index = fermata::git_mem::growing_range(1'000'000);
  g.index.append(std::as_bytes(std::span(index)));
  return g;
}

std::string index_of(const generation& g) {
  return {reinterpret_cast<const char*>(g.index.data()), g.index.size()};
}

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void overwrite(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

loaded_generation load(data_directory& d) { return d.load("git://example.org/repo", "master"); }

}  // namespace

TEST_CASE("a saved index comes back whole", "[mirror][data]") {
  const temporary_folder folder;
  const std::string index(300'000, 'i');
  {
    data_directory data(folder.path + "/made/here");
    data.save(sample("older"));
    generation g = sample(index);
    g.last_modified = g.commit_time + std::chrono::seconds(7);
    data.save(g);
  }
  data_directory data(folder.path + "/made/here");
  const loaded_generation loaded = load(data);

  REQUIRE(loaded.found != nullptr);
  CHECK(loaded.refused.empty());
  const generation& g = *loaded.found;
  CHECK(g.commit == "97014be61691efb695da5de8e860cba5d74fa1f5");
  CHECK(g.commit_time.time_since_epoch().count() == 1787409630);
  CHECK(g.last_modified == g.commit_time + std::chrono::seconds(7));
  CHECK(g.files == 3);
  CHECK(g.etag == "\"5742c8d735a3\"");
  CHECK(g.repo == "opam-version: \"2.0\"\n\xff");
  CHECK(g.version == "0.9.0\n");
  CHECK(g.notes == std::vector<std::string>{"a: left out"});
  CHECK(index_of(g) == index);
  CHECK_FALSE(fs::exists(data.path() + "/index.new"));
}

TEST_CASE("an index without the file version comes back without it", "[mirror][data]") {
  const temporary_folder folder;
  data_directory data(folder.path);
  generation g = sample("i");
  g.version.reset();
  data.save(g);
  CHECK_FALSE(load(data).found->version);
  CHECK_FALSE(load(data).found->last_modified);
}

TEST_CASE("an empty folder loads nothing and refuses nothing", "[mirror][data]") {
  const temporary_folder folder;
  data_directory data(folder.path);
  const loaded_generation loaded = load(data);
  CHECK(loaded.found == nullptr);
  CHECK(loaded.refused.empty());
}

TEST_CASE("an index of another remote or branch is not served", "[mirror][data]") {
  const temporary_folder folder;
  data_directory data(folder.path);
  data.save(sample("i"));
  const std::string why = data.path() + "/index is of another remote or branch";
  CHECK(data.load("git://example.org/other", "master").refused == why);
  CHECK(data.load("git://example.org/repo", "").refused == why);
  CHECK(load(data).found != nullptr);
}

TEST_CASE("every damaged byte is noticed and the file set aside", "[mirror][data]") {
  const temporary_folder folder;
  data_directory data(folder.path);
  const std::string name = data.path() + "/index";
  data.save(sample("some index"));
  const std::string whole = contents(name);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    INFO("byte " << i);
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    overwrite(name, damaged);
    const loaded_generation loaded = load(data);
    CHECK(loaded.found == nullptr);
    CHECK_FALSE(loaded.refused.empty());
    CHECK_FALSE(fs::exists(name));
    CHECK(fs::exists(name + ".refused"));
  }
}

TEST_CASE("a cut or foreign file is refused with its reason", "[mirror][data]") {
  const temporary_folder folder;
  data_directory data(folder.path);
  const std::string name = data.path() + "/index";
  const auto refused = [&](const std::string& text) {
    overwrite(name, text);
    return load(data).refused;
  };
  const std::string moved = "; it is now " + name + ".refused";
  data.save(sample("some index"));
  const std::string whole = contents(name);
  CHECK(refused("") == name + ": it is no index of fermata-mirror" + moved);
  CHECK(refused("#!/bin/sh\n") == name + ": it is no index of fermata-mirror" + moved);
  CHECK(refused(whole.substr(0, 40)) == name + ": it ends early" + moved);
  CHECK(refused(whole.substr(0, whole.size() - 1)) == name + ": its checksum does not fit" + moved);
  CHECK(refused(whole + "x") == name + ": its checksum does not fit" + moved);
}

TEST_CASE("a folder in the place of a file is set aside, over what was there", "[mirror][data]") {
  const temporary_folder folder;
  data_directory data(folder.path);
  const std::string name = data.path() + "/index";
  overwrite(name + ".refused", "of an earlier time");
  fs::create_directories(name + "/in");
  CHECK(load(data).refused ==
        name + ": illegal operation on a directory; it is now " + name + ".refused");
  CHECK(fs::exists(name + ".refused/in"));
  data.save(sample("i"));
  CHECK(load(data).found != nullptr);

  overwrite(data.path() + "/store.refused", "of an earlier time");
  fs::create_directories(data.store_path());
  data.refuse_store();
  CHECK_FALSE(fs::exists(data.store_path()));
}

TEST_CASE("what a kill has left of an unfinished store is removed", "[mirror][data]") {
  const temporary_folder folder;
  for (const char* name : {"/store", "/store.Ab12xZ", "/store.refused", "/store.new"}) {
    overwrite(folder.path + name, "x");
  }
  const data_directory data(folder.path);
  CHECK(fs::exists(folder.path + "/store"));
  CHECK(fs::exists(folder.path + "/store.refused"));
  CHECK(fs::exists(folder.path + "/store.new"));
  CHECK_FALSE(fs::exists(folder.path + "/store.Ab12xZ"));
}

TEST_CASE("a folder says what it takes and what its disk has", "[mirror][data]") {
  const temporary_folder folder;
  data_directory d(folder.path);
  const std::uint64_t lock = fs::file_size(folder.path + "/lock");
  CHECK(d.disk().kept_bytes == lock);
  d.save(sample("an index"));
  overwrite(folder.path + "/more", "12345");
  fs::create_directory(folder.path + "/cache");
  overwrite(folder.path + "/cache/archive", "is counted elsewhere");
  const disk_status disk = d.disk();
  CHECK(disk.kept_bytes == lock + 5 + fs::file_size(folder.path + "/index"));
  REQUIRE(disk.total_bytes);
  CHECK(disk.free_bytes.value() <= *disk.total_bytes);
  fs::remove_all(folder.path);
  CHECK_FALSE(d.disk().kept_bytes);
}

TEST_CASE("a folder in use is refused and names who has it", "[mirror][data]") {
  const temporary_folder folder;
  data_directory data(folder.path);
  CHECK_THROWS_WITH(data_directory(folder.path),
                    "cannot use " + folder.path + ": another process holds " + folder.path +
                        "/lock (pid " + std::to_string(::getpid()) + ")");
}

TEST_CASE("a folder is free again when its owner has gone", "[mirror][data]") {
  const temporary_folder folder;
  {
    data_directory first(folder.path);
    const data_directory moved(std::move(first));
  }
  CHECK_NOTHROW(data_directory(folder.path));
}

TEST_CASE("a folder that cannot be made says why", "[mirror][data]") {
  const temporary_folder folder;
  overwrite(folder.path + "/file", "");
  CHECK_THROWS_WITH(data_directory(folder.path + "/file/x"),
                    Catch::Contains("cannot make the folder " + folder.path + "/file/x") &&
                        Catch::Contains("not a directory"));
}

TEST_CASE("a save that fails leaves the index as it was", "[mirror][data]") {
  const temporary_folder folder;
  data_directory data(folder.path);
  data.save(sample("good"));
  fs::create_directory(data.path() + "/index.new");  // cannot be opened for writing
  CHECK_THROWS_AS(data.save(sample("bad")), fermata::error);
  CHECK(index_of(*load(data).found) == "good");
}
