// SPDX-License-Identifier: MIT
// Stored archives whose files are lost, cut short or replaced.

#include "archive_place.hpp"
#include "store_support.hpp"

#include <catch2/catch.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kinds[] = {"md5", "sha256", "sha512"};

bool recover(event_loop& loop, archive_store& store, const std::string& name) {
  bool is_there = false;
  loop.run([&]() -> promise<> {
    return store.recover(store.find(hash(name))->key()).map([&is_there](bool b) { is_there = b; });
  });
  return is_there;
}

// A mirror that has one archive, which nobody has asked for.
struct stored_place : place {
  explicit stored_place(archive_options o = archive_options())
      : place(std::move(o)), sum(add("a.1", "/a", bytes)) {
    publish();
    wait_for([](const archive_status& s) { return s.present == 1; });
  }
  std::string cache() { return options().folder; }
  void lose() {
    for (const char* kind : kinds) fs::remove_all(cache() + "/" + kind);
  }

  const std::string bytes = std::string(50'000, 'a');
  const std::string sum;
};

}  // namespace

TEST_CASE("an archive that is not where it was is read from another of its names",
          "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  const store_ptr store = open(loop, folder.path());
  CHECK(put_in(loop, *store, {"hello"}, {md5}) == "5");
  CHECK(recover(loop, *store, sha256));
  fs::remove(store->path_of(hash(sha256)));
  CHECK(recover(loop, *store, sha256));
  CHECK(fs::hard_link_count(store->path_of(hash(sha256))) == 3);

  fs::remove(store->path_of(hash(sha256)));
  fs::remove(store->path_of(hash(md5)));
  std::ofstream(store->path_of(hash(md5))) << "other";
  CHECK(recover(loop, *store, sha256));
  CHECK(fermata::test::read_file(store->path_of(hash(md5))) == "hello");

  fs::resize_file(store->path_of(hash(sha256)), 2);
  CHECK_FALSE(recover(loop, *store, sha256));
  CHECK_FALSE(store->find(hash(md5)));
  CHECK(fermata::test::read_file(folder.path() / "damaged" / hash(sha256).hex()) == "he");
  CHECK(files_in(folder.path()) == 1);
  CHECK(store->counts().damaged == 1);

  CHECK(put_in(loop, *store, {"hello"}, {}) == "5");
  for (const char* kind : kinds) fs::remove_all(folder.path() / kind);
  CHECK_FALSE(recover(loop, *store, sha256));
  CHECK(store->counts().damaged == 1);
  CHECK(store->counts().archives == 0);
}

TEST_CASE("a stored archive whose file is lost is fetched again by who asks",
          "[mirror][archives]") {
  stored_place p;
  p.lose();
  for (const answer& a : p.get_twice(p.sum)) {
    const bool is_told_to_wait = a.status == 503 && a.body == "the archive is being fetched\n";
    CHECK((a.body == p.bytes || is_told_to_wait));
  }
  CHECK(p.get(p.sum).body == p.bytes);
  CHECK(p.upstream->asked("/a") == 2);
  CHECK(p.status().present == 1);
  CHECK_THAT(p.logged, Contains("cannot open " + p.stored(p.sum)));
  CHECK(fs::hard_link_count(p.stored(p.sum)) == 3);
}

TEST_CASE("a stored archive that is cut short is never served, but fetched again",
          "[mirror][archives]") {
  stored_place p;
  fs::resize_file(p.stored(p.sum), 50);
  CHECK(p.get(p.sum).body == p.bytes);
  CHECK(p.upstream->asked("/a") == 2);
  CHECK(p.status().store.damaged == 1);
  CHECK_THAT(p.logged, Contains(p.stored(p.sum) + " has 50 bytes, not 50000"));
  CHECK(files_in(p.cache() + "/damaged") == 1);
}

namespace {

// Root may read everything: such a process is nobody for a while.
class without_rights {
public:
  explicit without_rights(const temp_folder& folder) {
    if (!is_root_) return;
    folder.run("chown -R 65534 .");
    REQUIRE(::seteuid(65534) == 0);
  }
  ~without_rights() {
    if (is_root_) static_cast<void>(::seteuid(0));
  }
  without_rights(const without_rights&) = delete;
  without_rights& operator=(const without_rights&) = delete;

private:
  const bool is_root_ = ::geteuid() == 0;
};

}  // namespace

TEST_CASE("a stored archive that may not be read is set aside and fetched again",
          "[mirror][archives]") {
  stored_place p;
  fs::permissions(p.stored(p.sum), fs::perms::none);
  const fs::path aside = fs::path(p.cache()) / "damaged";
  SECTION("it can be moved") {
    const without_rights nobody(p.folder());
    CHECK(p.get(p.sum).body == p.bytes);
    CHECK(fs::exists(aside / archive_hash::parse(p.sum)->hex()));
  }
  SECTION("it can be moved later") {
    std::ofstream(aside) << "no folder";
    const without_rights nobody(p.folder());
    CHECK(p.get(p.sum).status == 503);
    CHECK_THAT(p.logged, Contains("; cannot move " + p.stored(p.sum) + " aside: "));
    CHECK(p.status().present == 1);
    fs::remove(aside);
    CHECK(p.get(p.sum).body == p.bytes);
  }
  CHECK_THAT(p.logged, Contains("cannot open " + p.stored(p.sum) + ": permission denied"));
  CHECK(p.upstream->asked("/a") == 2);
  CHECK(p.status().store.damaged == 1);
  CHECK(fs::hard_link_count(p.stored(p.sum)) == 3);
}

TEST_CASE("a lost archive that cannot be fetched is one that is missing", "[mirror][archives]") {
  stored_place p;
  (*p.upstream)["/a"].how = manner::missing;
  p.lose();
  CHECK(p.get(p.sum).status == 404);
  CHECK(p.status().present == 0);
  CHECK(failures(p.status()) == "http 404=1 ");
}

TEST_CASE("a stored archive that may not be looked at is not given up", "[mirror][archives]") {
  stored_place p;
  const fs::path top = fs::path(p.cache()) / "sha256";
  fs::rename(top, p.cache() + "/away");
  fs::create_symlink("sha256", top);  // a loop: it works for root too
  CHECK(p.get(p.sum).status == 503);
  CHECK(p.status().present == 1);
  fs::remove(top);
  fs::rename(p.cache() + "/away", top);
  CHECK(p.get(p.sum).body == p.bytes);
  CHECK(p.upstream->asked("/a") == 1);
}

TEST_CASE("an archive that is not as long as it was is moved aside when the store is opened",
          "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  store_ptr store = open(loop, folder.path());
  CHECK(put_in(loop, *store, {"hello"}, {md5}) == "5");
  CHECK(put_in(loop, *store, {"other"}, {}) == "5");
  CHECK(put_in(loop, *store, {""}, {}) == "0");
  loop.run([&] { return store->save(); });
  fs::resize_file(store->path_of(hash(sha256)), 2);
  store = open(loop, folder.path());
  CHECK_FALSE(store->find(hash(md5)));
  CHECK(store->counts().archives == 2);
  CHECK(store->counts().damaged == 1);
  CHECK(store->counts().unverified == 0);
  CHECK(fermata::test::read_file(folder.path() / "damaged" / hash(sha256).hex()) == "he");
  CHECK_FALSE(fs::exists(store->path_of(hash(sha512))));
}

TEST_CASE("what an earlier version has stored is taken as it is until it is checked",
          "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  const fs::path sizes = folder.path() / "sizes";
  store_ptr store = open(loop, folder.path());
  CHECK(put_in(loop, *store, {"hello"}, {md5}) == "5");
  CHECK(put_in(loop, *store, {"cut"}, {}) == "3");
  CHECK(put_in(loop, *store, {"emptied"}, {}) == "7");
  const std::string cut = fermata::test::sum_of(folder, "sha256sum", "cut");
  const std::string emptied = fermata::test::sum_of(folder, "sha256sum", "emptied");
  fs::resize_file(store->path_of(hash("sha256=" + cut)), 1);
  fs::resize_file(store->path_of(hash("sha256=" + emptied)), 0);
  SECTION("no sizes were kept") { CHECK_FALSE(fs::exists(sizes)); }
  SECTION("they are damaged") {
    std::ofstream(sizes) << "fermata-mirror sizes 1\n" << std::string(64, '0') << "\n0\n";
  }
  SECTION("they are nothing of ours") { std::ofstream(sizes) << "x"; }
  SECTION("they are a folder") { fs::create_directory(sizes); }
  SECTION("nobody ever writes them") { REQUIRE(::mkfifo(sizes.c_str(), 0600) == 0); }
  SECTION("they are of no time that there is") {
    const std::string far = "9000000000000000000\n";
    const std::string sum = fermata::test::sum_of(folder, "sha256sum", far);
    std::ofstream(sizes) << "fermata-mirror sizes 1\n" << sum << "\n" << far;
  }
  const bool is_refused = fs::exists(sizes);
  store = open(loop, folder.path());
  CHECK(store->refused().empty() != is_refused);
  CHECK(fs::exists(sizes.string() + ".refused") == is_refused);
  CHECK(store->counts().archives == 2);
  CHECK(store->counts().unverified == 2);
  CHECK(store->counts().damaged == 1);
  const check_report report = check(loop, *store, check_of::unverified);
  CHECK(report.checked == 2);
  CHECK(report.damaged == std::vector<archive_hash>{hash("sha256=" + cut)});
  CHECK(store->counts().unverified == 0);
  CHECK(store->last_check() == std::chrono::sys_seconds());
  check(loop, *store);
  const std::chrono::sys_seconds checked = store->last_check();
  CHECK(checked > std::chrono::sys_seconds());
  loop.run([&] { return store->save(); });
  store = open(loop, folder.path());
  CHECK(store->counts().unverified == 0);
  CHECK(store->last_check() == checked);
  CHECK(check(loop, *store, check_of::unverified).checked == 0);
}

TEST_CASE("an archive that cannot be read does not end a check of the others", "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  const store_ptr store = open(loop, folder.path());
  CHECK(put_in(loop, *store, {"hello"}, {}) == "5");
  CHECK(put_in(loop, *store, {"other"}, {}) == "5");
  const std::string path = store->path_of(hash(sha256));
  fs::remove(path);
  fs::create_directory(path);  // opens, but does not read
  const check_report report = check(loop, *store);
  CHECK(report.checked == 1);
  CHECK(report.failed == 1);
  CHECK_THAT(report.last_failure, Contains("cannot read " + path));
  CHECK(report.damaged.empty());
  CHECK(store->counts().archives == 2);
  CHECK(store->last_check() > std::chrono::sys_seconds());
}

TEST_CASE("scrubs go on after one that could not read an archive", "[mirror][archives]") {
  archive_options o;
  o.scrub_interval = std::chrono::milliseconds(1);
  o.scrub_bytes_per_second = 1'000'000'000;
  stored_place p(o);
  const std::string beside = p.cache() + "/beside";
  fs::create_symlink(fs::path(p.stored(p.sum)).filename(), beside);  // a loop, in its place
  fs::rename(beside, p.stored(p.sum));
  const auto is_told = [&p](const archive_status&) {
    return p.logged.find("cannot check archives: 1, the last one: cannot ") != std::string::npos;
  };
  p.wait_for(is_told);
  std::ofstream(beside) << "other";
  fs::rename(beside, p.stored(p.sum));
  p.wait_for([&p](const archive_status&) { return p.upstream->asked("/a") == 2; });
  p.wait_for([](const archive_status& s) { return s.present == 1; });
}

TEST_CASE("archives that were cut short while the mirror was down are fetched again",
          "[mirror][archives]") {
  stored_place p;
  const int size = GENERATE(0, 50);
  p.change_while_down = [&p, size] {
    fs::resize_file(p.stored(p.sum), static_cast<std::uintmax_t>(size));
  };
  p.restart();
  p.wait_for([](const archive_status& s) { return s.present == 1; });
  CHECK(p.get(p.sum).body == p.bytes);
  CHECK(p.upstream->asked("/a") == 2);
  CHECK_THAT(p.logged, Contains("damaged archives, moved aside, to be fetched again: 1"));
}

TEST_CASE("a scrub is due so long after the last one, over restarts", "[mirror][archives]") {
  archive_options o;
  o.scrub_interval = std::chrono::hours(1);
  stored_place p(o);
  p.change_while_down = [&p] {
    p.options().scrub_interval = std::chrono::milliseconds(1);
    p.options().scrub_bytes_per_second = 1'000'000'000;
  };
  p.restart();
  p.wait_for([](const archive_status& s) { return s.checked == 1; });
  p.change_while_down = [&p] { p.options().scrub_interval = std::chrono::hours(1); };
  p.restart();
  p.wait_for([](const archive_status& s) { return s.is_open; });
  event_loop loop(testing::options_of_run());
  const store_ptr store = open(loop, p.cache());
  CHECK(std::chrono::system_clock::now() - store->last_check() < std::chrono::minutes(10));
}
