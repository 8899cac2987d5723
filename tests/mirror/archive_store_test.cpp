// SPDX-License-Identifier: MIT
#include "store_support.hpp"

#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;

TEST_CASE("an archive is found under all of its checksums", "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  const store_ptr store = open(loop, folder.path() / "a/cache");
  CHECK(put_in(loop, *store, {"hel", "lo"}, {sha256}) == "5");
  for (const std::string& name : {md5, sha256, sha512}) {
    REQUIRE(store->find(hash(name)));
    CHECK(store->find(hash(name))->size == 5);
    CHECK(fermata::test::read_file(store->path_of(hash(name))) == "hello");
    CHECK(fs::hard_link_count(store->path_of(hash(name))) == 3);
  }
  CHECK(files_in(folder.path() / "a/cache") == 3);
  CHECK(store->counts().archives == 1);
  CHECK(store->counts().bytes == 5);
  CHECK(put_in(loop, *store, {"hello"}, {md5}) == "5");  // again
  CHECK(store->counts().bytes == 5);

  const store_ptr again = open(loop, folder.path() / "a/cache");
  CHECK(again->find(hash(md5)));
  CHECK(again->counts().bytes == 5);
}

TEST_CASE("a name that cannot be read closes no store", "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  {
    const store_ptr store = open(loop, folder.path());
    CHECK(put_in(loop, *store, {"hello"}, {sha256}) == "5");
    CHECK(put_in(loop, *store, {"other"}, {}) == "5");
    for (const std::string& name : {sha256, sha512, md5}) fs::remove(store->path_of(hash(name)));
    fs::create_directory(store->path_of(hash(md5)));
  }
  const store_ptr again = open(loop, folder.path());
  CHECK(again->counts().archives == 1);
  CHECK(again->counts().unreadable == 1);
  CHECK(again->fault() == "cannot read " + again->path_of(hash(md5)) +
                              ": illegal operation on a directory (uv EISDIR)");
}

TEST_CASE("bytes with another checksum than any that was declared are refused", "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  const store_ptr store = open(loop, folder.path());
  const std::string wrong = "md5=" + std::string(32, '0');
  CHECK(put_in(loop, *store, {"hello"}, {sha256, sha512, wrong}) ==
        "md5 is 5d41402abc4b2a76b9719d911017c592, declared is 00000000000000000000000000000000");
  CHECK_FALSE(store->find(hash(sha256)));
  loop.run([] { return ready(); });
  CHECK(store->counts().archives == 0);
  CHECK_FALSE(fs::exists(store->path_of(hash(sha256))));
}

TEST_CASE("a writer begins anew, and leaves nothing when it is dropped", "[mirror][store]") {
  const temp_folder folder;
  {
    event_loop loop(testing::options_of_run());
    const store_ptr store = open(loop, folder.path());
    struct tasks {
      static promise<> rewound(archive_store& s) {
        promise<archive_store::writer> beginning = s.begin();
        archive_store::writer w = co_await std::move(beginning);
        promise<> writing = w.write(http::shared_bytes(std::string("xyz")));
        co_await writing;
        promise<> rewinding = w.rewind();
        co_await rewinding;
        CHECK(w.size() == 0);
        promise<> anew = w.write(http::shared_bytes(std::string("hello")));
        co_await anew;
        promise<stored_archive> finishing = w.finish(std::vector<archive_hash>(1, hash(md5)));
        co_await finishing;
      }
      static promise<> dropped(archive_store& s) {
        promise<archive_store::writer> beginning = s.begin();
        archive_store::writer w = co_await std::move(beginning);
        promise<> writing = w.write(http::shared_bytes(std::string("xyz")));
        co_await writing;
      }
    };
    loop.run([&] { return tasks::rewound(*store); });
    CHECK(store->find(hash(sha512)));
    loop.run([&] { return tasks::dropped(*store); });
  }
  CHECK(files_in(folder.path() / ".new") == 0);
}

TEST_CASE("a start removes what was not finished", "[mirror][store]") {
  const temp_folder folder;
  folder.write(".new/abcdef", "half");
  folder.write("sha256/zz/nothing of ours", "x");
  event_loop loop(testing::options_of_run());
  const store_ptr store = open(loop, folder.path());
  CHECK(files_in(folder.path()) == 1);
  CHECK(store->counts().archives == 0);
}

TEST_CASE("an archive that lost names gets them at the start, a damaged one is moved aside",
          "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  folder.write(hash(sha256).path(), "hello");  // as if copied there
  folder.write("md5/00/" + std::string(32, '0'), "hello");
  const store_ptr store = open(loop, folder.path());
  CHECK(store->find(hash(md5)));
  CHECK(fermata::test::read_file(store->path_of(hash(sha512))) == "hello");
  CHECK(store->counts().damaged == 1);
  CHECK(files_in(folder.path() / "damaged") == 1);
  CHECK(store->counts().archives == 1);
}

TEST_CASE("a check moves damaged archives aside and mends names", "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  const store_ptr store = open(loop, folder.path());
  CHECK(put_in(loop, *store, {"hello"}, {md5}) == "5");
  CHECK(put_in(loop, *store, {std::string(3'000'000, 'x')}, {}) == "3000000");
  CHECK(put_in(loop, *store, {"gone"}, {}) == "4");
  CHECK(check(loop, *store).damaged.empty());

  fs::remove(store->path_of(hash(md5)));
  check_report report = check(loop, *store);
  CHECK(report.mended == 1);
  CHECK(report.checked == 3);
  CHECK(report.bytes == 3'000'009);
  CHECK(fermata::test::read_file(store->path_of(hash(md5))) == "hello");

  std::ofstream(store->path_of(hash(sha256)), std::ios::app) << "!";
  report = check(loop, *store);
  CHECK(report.damaged == std::vector<archive_hash>{hash(sha256)});
  CHECK_FALSE(store->find(hash(md5)));
  CHECK_FALSE(fs::exists(store->path_of(hash(sha512))));
  CHECK(fermata::test::read_file(folder.path() / "damaged" / hash(sha256).hex()) == "hello!");
  CHECK(store->counts().archives == 2);
  CHECK(store->counts().damaged == 1);

  for (const char* kind : {"md5", "sha256", "sha512"}) fs::remove_all(folder.path() / kind);
  report = check(loop, *store);
  CHECK(report.missing == 2);
  CHECK(store->counts().bytes == 0);
}

TEST_CASE("archives that no package names go after a while", "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  store_ptr store = open(loop, folder.path());
  CHECK(put_in(loop, *store, {"hello"}, {}) == "5");
  CHECK(collect(loop, *store, true, 0) == 0);
  CHECK(store->counts().unnamed == 0);
  CHECK(collect(loop, *store, false, 1000) == 0);
  CHECK(store->counts().unnamed == 1);
  CHECK(collect(loop, *store, true, 1050) == 0);  // named again: it begins anew
  CHECK(collect(loop, *store, false, 1090) == 0);
  store = open(loop, folder.path());  // it is known over a restart since when
  CHECK(store->counts().unnamed == 1);
  CHECK(collect(loop, *store, false, 1189) == 0);
  CHECK(store->find(hash(md5)));
  CHECK(collect(loop, *store, false, 1190) == 1);
  CHECK_FALSE(store->find(hash(md5)));
  CHECK_FALSE(fs::exists(store->path_of(hash(sha512))));
  CHECK(store->counts().collected == 1);
  CHECK(fermata::test::read_file(folder.path() / "unnamed").empty());
}

TEST_CASE("a full store says so, and takes what fits", "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  store_options options;
  options.quota_bytes = 8;
  const store_ptr store = open(loop, folder.path(), options);
  CHECK(put_in(loop, *store, {"hello"}, {}) == "5");
  CHECK(put_in(loop, *store, {"four"}, {}) == "no room for 4 bytes: the quota of 8 has 3 left");
  CHECK(store->counts().is_full);
  CHECK(put_in(loop, *store, {"abc"}, {}) == "3");
  CHECK_FALSE(store->counts().is_full);
}

TEST_CASE("looking at archives looks at the loop", "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_with(policy::always()));
  const store_ptr store = open(loop, folder.path());
  for (int i = 0; i < 20; ++i) put_in(loop, *store, {std::to_string(i)}, {});
  std::uint64_t before = loop.metrics().looks;
  collect(loop, *store, true, 0);
  CHECK(loop.metrics().looks - before >= 20);
}

namespace {

// Archives of random bytes, one after another; says the name of each that is finished.
promise<> write_for_ever(archive_store& store, unsigned seed, int told) {
  std::mt19937 random(seed);
  for (;;) {
    std::vector<std::string> pieces(random() % 4);
    for (std::string& p : pieces) {
      p.resize(random() % 20'000);
      for (char& c : p) c = static_cast<char>(random());
    }
    promise<stored_archive> putting = put(store, std::move(pieces), {});
    const stored_archive a = co_await std::move(putting);
    const std::string line = a.hashes[random() % 3].text() + "\n";
    if (::write(told, line.data(), line.size()) < 0) ::_exit(1);
  }
}

[[noreturn]] void be_the_writer(const fs::path& folder, unsigned seed, int told) {
  try {
    event_loop loop;
    const store_ptr store = open(loop, folder);
    loop.run([&] { return write_for_ever(*store, seed, told); });
  } catch (...) {
  }
  ::_exit(1);
}

// Kills a writer some time after it has told of `first` archives, and adds all that it told of.
void write_and_kill(const fs::path& folder,
                    unsigned seed,
                    std::size_t first,
                    std::chrono::microseconds delay,
                    std::vector<std::string>& finished) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    be_the_writer(folder, seed, ends[1]);
  }
  ::close(ends[1]);
  std::string told;
  char buffer[4096];
  while (static_cast<std::size_t>(std::count(told.begin(), told.end(), '\n')) < first) {
    const ssize_t n = ::read(ends[0], buffer, sizeof buffer);
    REQUIRE(n > 0);
    told.append(buffer, static_cast<std::size_t>(n));
  }
  std::this_thread::sleep_for(delay);  // the moment is what is being tried
  ::kill(child, SIGKILL);
  while (const ssize_t n = ::read(ends[0], buffer, sizeof buffer)) {
    if (n < 0) break;
    told.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  for (std::size_t end = told.find('\n'); end != std::string::npos; end = told.find('\n')) {
    finished.push_back(told.substr(0, end));
    told.erase(0, end + 1);
  }
}

}  // namespace

TEST_CASE("kill -9 at any moment loses no finished archive and leaves no unfinished one",
          "[mirror][store][kill]") {
  const temp_folder folder;
  std::mt19937 random(1);
  std::vector<std::string> finished;
  for (unsigned i = 0; i < 200; ++i) {
    const std::chrono::microseconds delay(random() % 6000);
    write_and_kill(folder.path(), i, random() % 3, delay, finished);
    if (i % 20 != 19) continue;
    event_loop loop;
    const store_ptr store = open(loop, folder.path());
    for (const std::string& name : finished) REQUIRE(store->find(hash(name)));
    const check_report report = check(loop, *store);
    CHECK(report.damaged.empty());
    CHECK(report.missing == 0);
    CHECK(store->counts().damaged == 0);
    CHECK(report.checked > 0);
    CHECK(files_in(folder.path() / ".new") == 0);
    CHECK(files_in(folder.path() / "damaged") == 0);
  }
  CHECK(finished.size() > 100);
}
