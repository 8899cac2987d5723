// SPDX-License-Identifier: MIT
// Reads of objects by fermata::git_mem and by libgit2, from the same bare repository of one pack.
//
// compare:
//   reads  objects a second, in a random order fixed by a seed. Unit: 1/s of CPU time, higher is
//          better.
//   walk   seconds of CPU for the newest tree with the content of all its files. libgit2 hashes
//          what it reads unless told otherwise (strict hash verification): both are measured. Ours
//          hashed each object once, when it came.
// clone:   libgit2 clones URL into DIR and prints nothing: for the CPU time of a process.

#include <fermata/git_mem/object_reader.hpp>
#include <fermata/git_mem/pack_analyser.hpp>
#include <fermata/git_mem/walk.hpp>

#include <fmt/format.h>
#include <git2.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace {

namespace git = fermata::git_mem;

constexpr int runs = 5;
constexpr std::size_t most_reads = 30'000;
constexpr std::uint64_t largest = std::uint64_t{1} << 30;

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

void check(int code, const char* what) {
  if (code < 0) throw std::runtime_error(fmt::format("{}: {}", what, git_error_last()->message));
}

std::vector<std::byte> pack_of(const std::string& repository) {
  for (const auto& e : std::filesystem::directory_iterator(repository + "/objects/pack")) {
    if (e.path().extension() != ".pack") continue;
    std::ifstream in(e.path(), std::ios::binary);
    std::vector<std::byte> bytes(std::filesystem::file_size(e.path()));
    in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return bytes;
  }
  throw std::runtime_error(repository + " has no pack");
}

git::snapshot_ptr load(const std::string& repository) {
  git::pack_analyser analyser;
  analyser.feed(pack_of(repository));
  analyser.finish_input();
  git::step_result r;
  while (r.state == git::step_state::more) r = analyser.step();
  if (r.state == git::step_state::error) throw git::failure(analyser.error());
  auto s = std::make_shared<git::snapshot>();
  s->packs.push_back(analyser.take());
  return s;
}

// libgit2 with nothing in its caches.
class their_store {
public:
  explicit their_store(const std::string& path) {
    check(git_repository_open_bare(&repository_, path.c_str()), "cannot open");
    check(git_repository_odb(&odb_, repository_), "no objects");
  }
  their_store(const their_store&) = delete;
  their_store& operator=(const their_store&) = delete;
  ~their_store() {
    git_odb_free(odb_);
    git_repository_free(repository_);
  }
  [[nodiscard]] std::size_t read(const git::object_id& id) const {
    git_oid theirs;
    git_oid_fromraw(&theirs, id.data());
    git_odb_object* found = nullptr;
    check(git_odb_read(&found, odb_, &theirs), "cannot read");
    const std::size_t size = git_odb_object_size(found);
    git_odb_object_free(found);
    return size;
  }
  [[nodiscard]] git::object_id head() const {
    git_oid id;
    check(git_reference_name_to_id(&id, repository_, "HEAD"), "no HEAD");
    return git::object_id::from_bytes(id.id);
  }
  // Bytes of all files of the newest commit.
  [[nodiscard]] std::size_t walk() const {
    git_oid id;
    check(git_reference_name_to_id(&id, repository_, "HEAD"), "no HEAD");
    git_commit* commit = nullptr;
    git_tree* tree = nullptr;
    check(git_commit_lookup(&commit, repository_, &id), "no commit");
    check(git_commit_tree(&tree, commit), "no tree");
    visit v{this, 0};
    const auto see = [](const char*, const git_tree_entry* e, void* to) {
      auto* seen = static_cast<visit*>(to);
      if (git_tree_entry_type(e) != GIT_OBJECT_BLOB) return 0;
      seen->bytes += seen->store->read(git::object_id::from_bytes(git_tree_entry_id(e)->id));
      return 0;
    };
    check(git_tree_walk(tree, GIT_TREEWALK_PRE, see, &v), "cannot walk");
    git_tree_free(tree);
    git_commit_free(commit);
    return v.bytes;
  }

private:
  struct visit {
    const their_store* store;
    std::size_t bytes;
  };
  git_repository* repository_ = nullptr;
  git_odb* odb_ = nullptr;
};

// With nothing in its cache.
std::size_t our_reads(const git::snapshot_ptr& from, const std::vector<git::object_id>& ids) {
  git::object_cache recent(*from);
  std::size_t bytes = 0;
  for (const git::object_id& id : ids) {
    bytes += git::read_object(from, id, largest, &recent).content.size();
  }
  return bytes;
}

std::size_t our_walk(const git::snapshot_ptr& from, const git::object_id& head) {
  git::object_cache recent(*from);
  git::tree_walk walk(from, head, {}, &recent);
  std::size_t bytes = 0;
  for (;;) {
    const git::tree_walk::result r = walk.step();
    if (r.state == git::step_state::error) throw git::failure(walk.error());
    if (r.state == git::step_state::done) return bytes;
    if (r.found != nullptr && r.found->mode != git::file_mode::submodule) {
      bytes += git::read_object(from, r.found->id, largest, &recent).content.size();
    }
  }
}

// One JSON line; `amount` 0: seconds, else so many a second. All cases must give the same sum.
void measure(const char* bench,
             const char* name,
             std::size_t amount,
             std::size_t& expected,
             const std::function<std::size_t()>& work) {
  std::vector<double> values;
  for (int i = 0; i < runs; ++i) {
    const double began = cpu_seconds();
    const std::size_t sum = work();
    const double took = cpu_seconds() - began;
    if (expected == 0) expected = sum;
    if (sum != expected) throw std::runtime_error("they read different bytes");
    values.push_back(amount == 0 ? took : static_cast<double>(amount) / took);
  }
  std::sort(values.begin(), values.end());
  fmt::print(
      "{{\"bench\":\"{}\",\"case\":\"{}\",\"unit\":\"{}\",\"runs\":{},\"median\":{:.6g},"
      "\"min\":{:.6g},\"max\":{:.6g}}}\n",
      bench, name, amount == 0 ? "s" : "1/s", runs, values[runs / 2], values.front(),
      values.back());
}

void compare(const std::string& repository) {
  const git::snapshot_ptr ours = load(repository);
  const git::pack& p = *ours->packs.front();
  std::vector<git::object_id> ids;
  for (std::uint32_t i = 0; i < p.entry_count(); ++i) ids.push_back(p.entry(i).id);
  std::shuffle(ids.begin(), ids.end(), std::mt19937(7));
  ids.resize(std::min(ids.size(), most_reads));
  const git::object_id head = their_store(repository).head();
  std::size_t read = 0;
  std::size_t walked = 0;
  measure("git_reads", "fermata", ids.size(), read, [&ours, &ids] { return our_reads(ours, ids); });
  measure("git_walk", "fermata", 0, walked, [&ours, &head] { return our_walk(ours, head); });
  for (const bool strict : {true, false}) {
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, strict ? 1 : 0);
    const char* name = strict ? "libgit2, hashing" : "libgit2, not hashing";
    measure("git_reads", name, ids.size(), read, [&repository, &ids] {
      const their_store theirs(repository);
      std::size_t sum = 0;
      for (const git::object_id& id : ids) sum += theirs.read(id);
      return sum;
    });
    measure("git_walk", name, 0, walked, [&repository] { return their_store(repository).walk(); });
  }
}

void clone(const char* url, const char* into) {
  git_clone_options options;
  git_clone_options_init(&options, GIT_CLONE_OPTIONS_VERSION);
  options.bare = 1;
  git_repository* made = nullptr;
  check(git_clone(&made, url, into, &options), "cannot clone");
  git_repository_free(made);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  git_libgit2_init();
  try {
    if (what == "compare" && argc == 3) {
      compare(argv[2]);
    } else if (what == "clone" && argc == 4) {
      clone(argv[2], argv[3]);
    } else {
      std::fputs("usage: fermata-git-bench compare REPOSITORY | clone URL DIR\n", stderr);
      return 2;
    }
  } catch (const std::exception& e) {
    fmt::print(stderr, "fermata-git-bench: {}\n", e.what());
    return 1;
  }
  git_libgit2_shutdown();
  return 0;
}
