// SPDX-License-Identifier: MIT
// Archives that there is no room for, and those that there is.

#include "archive_place.hpp"
#include "store_support.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using Catch::Matchers::Contains;

namespace {

const failure_group* find_group(const archive_status& s, const std::string& reason) {
  for (const failure_group& g : s.failures) {
    if (g.reason == reason) return &g;
  }
  return nullptr;
}

archive_options with_quota(std::uint64_t bytes) {
  archive_options o;
  o.quota_bytes = bytes;
  return o;
}

}  // namespace

TEST_CASE("an archive larger than the quota fails as that, and stops no other",
          "[mirror][archives]") {
  place p(with_quota(100'000));
  p.add("a.1", "/a", std::string(100'001, 'a'));
  SECTION("which it says") {}
  SECTION("which shows in the end") { (*p.upstream)["/a"].how = manner::endless; }
  p.publish();
  p.wait_for(is_idle);
  const std::string fits = p.add("c.1", "/c", std::string(30'000, 'c'));
  p.publish();
  p.wait_for([](const archive_status& s) { return s.present == 1; });
  const archive_status s = p.status();
  CHECK(failures(s) == "larger than the quota=1 ");
  CHECK(s.failures.at(0).examples.at(0).text ==
        "cannot get " + p.upstream->url("/a") +
            ": it has more bytes than the quota for all archives, 100000");
  CHECK_FALSE(s.store.is_full);
  CHECK(s.store.partial == 0);
  CHECK(p.get(fits).body.size() == 30'000);
}

TEST_CASE("what there is no room for waits for it, and others go on", "[mirror][archives]") {
  archive_options o = with_quota(100'000);
  o.first_delay = std::chrono::milliseconds(1);
  o.keep = std::chrono::seconds(0);
  o.collect_interval = std::chrono::milliseconds(5);
  place p(o);
  p.add("a.1", "/a", std::string(60'000, 'a'));
  p.add("b.1", "/b", std::string(60'000, 'b'));
  p.add("lost.1", "/lost", "lost");
  (*p.upstream)["/lost"].how = manner::failing;
  p.publish();
  p.wait_for([](const archive_status& s) { return s.present == 1 && s.without_room == 1; });
  const failure_group waiting = *find_group(p.status(), "store full");
  REQUIRE(waiting.examples.size() == 1);
  const bool is_a = waiting.examples[0].packages == "a.1";
  const std::string path = is_a ? "/a" : "/b";
  CHECK(waiting.examples[0].text == "cannot store " + p.upstream->url(path) +
                                        ": no room for 60000 bytes: the quota of 100000 has "
                                        "40000 left");
  const int asked = p.upstream->asked(path);

  // What failed for another reason is tried again and again, and is nothing that waits for room.
  const int tried = p.upstream->asked("/lost");
  p.wait_for([&](const archive_status&) { return p.upstream->asked("/lost") >= tried + 2; });
  const std::string small = p.add("c.1", "/c", std::string(30'000, 'c'));
  p.publish();
  p.wait_for([](const archive_status& s) { return s.present == 2; });
  CHECK(p.get(small).body.size() == 30'000);
  CHECK(p.status().without_room == 1);
  CHECK(p.status().full_for.count() == 0);
  CHECK(p.upstream->asked(path) == asked);  // it is known how much it needs

  p.remove(is_a ? "b.1" : "a.1");
  p.publish();
  p.wait_for([](const archive_status& s) { return s.store.collected == 1 && s.present == 2; });
  CHECK(p.status().without_room == 0);
  CHECK(p.upstream->asked(path) == asked + 1);
}

TEST_CASE("what waits for room is not asked for after a restart, unless the quota is another",
          "[mirror][archives]") {
  place p(with_quota(100));
  p.add("a.1", "/a", std::string(60, 'a'));
  p.publish();
  p.wait_for(is_idle);
  p.add("b.1", "/b", std::string(70, 'b'));
  p.publish();
  p.wait_for([](const archive_status& s) { return s.without_room == 1; });
  p.restart();
  p.wait_for([](const archive_status& s) { return s.is_open && s.without_room == 1; });
  CHECK(p.upstream->asked("/b") == 1);
  p.change_while_down = [&p] { p.options().quota_bytes = 130; };
  p.restart();
  p.wait_for([](const archive_status& s) { return s.present == 2; });
  CHECK(p.upstream->asked("/b") == 2);
}

namespace {

promise<archive_store::writer> begin_of(archive_store& store, std::uint64_t size) {
  promise<archive_store::writer> beginning = store.begin();
  archive_store::writer w = co_await std::move(beginning);
  w.expect(size);
  co_return std::move(w);
}

promise<> expect_beside(archive_store& store) {
  promise<archive_store::writer> beginning = begin_of(store, 6);
  archive_store::writer first = co_await std::move(beginning);
  CHECK(store.room() == 4);
  promise<archive_store::writer> another = begin_of(store, 5);
  std::uint64_t needed = 0;
  try {
    co_await another;
  } catch (const store_full& e) {
    needed = e.needed_bytes;
  }
  CHECK(needed == 5);
  promise<> writing = first.write(http::shared_bytes(std::string("sixsix")));
  co_await writing;
  CHECK(store.room() == 4);  // they are what was expected
  promise<> rewinding = first.rewind();
  co_await rewinding;
  CHECK(store.room() == 10);
}

}  // namespace

TEST_CASE("room is kept for downloads under way", "[mirror][store]") {
  const temp_folder folder;
  event_loop loop(testing::options_of_run());
  store_options options;
  options.quota_bytes = 10;
  const store_ptr store = open(loop, folder.path(), options);
  loop.run([&] { return expect_beside(*store); });
  CHECK(store->room() == 10);
}

namespace {

// A file system of its own, where this process may have one.
class small_disk {
public:
  explicit small_disk(std::string path) : path_(std::move(path)) {
    is_there_ =
        std::system(("mount -t tmpfs -o size=256k none " + path_ + " 2>/dev/null").c_str()) == 0;
  }
  ~small_disk() {
    if (is_there_) static_cast<void>(std::system(("umount -l " + path_).c_str()));
  }
  small_disk(const small_disk&) = delete;
  small_disk& operator=(const small_disk&) = delete;
  [[nodiscard]] bool is_there() const { return is_there_; }

private:
  std::string path_;
  bool is_there_ = false;
};

}  // namespace

TEST_CASE("while the disk is full nothing begins, and what failed is told as what it is",
          "[mirror][archives]") {
  archive_options o;
  o.first_delay = std::chrono::milliseconds(1);
  o.jitter = 0;
  place p(o);
  p.wait_for([](const archive_status& s) { return s.is_open; });  // its folder is there
  std::optional<small_disk> disk;
  p.change_while_down = [&] { disk.emplace(p.options().folder); };
  p.restart();
  if (!disk->is_there()) {
    std::cout << "skipped: a file system that is full\n";
    return;
  }
  p.add("a.1", "/a", std::string(1'000'000, 'a'));
  p.publish();
  p.wait_for([](const archive_status& s) { return s.full_for.count() > 0; });
  CHECK(p.status().full_for <= std::chrono::minutes(1));
  CHECK(p.status().without_room == 1);
  const std::string lost = p.add("b.1", "/b", "b");
  (*p.upstream)["/b"].how = manner::failing;
  p.add("c.1", "/c", "c");
  p.publish();
  CHECK(p.get(lost).status == 404);
  const auto is_due = [](const archive_status& s) {
    const failure_group* g = find_group(s, "http 500");
    return g != nullptr && g->examples.at(0).next_try.count() == 0;
  };
  p.wait_for(is_due);
  p.ask("/cache/");
  CHECK(is_due(p.status()));
  CHECK(p.status().waiting == 1);  // the third
  CHECK(p.upstream->asked("/c") == 0);
  (*p.upstream)["/a"].how = manner::missing;
  p.service().retry();
  p.wait_for([](const archive_status& s) { return s.present == 1; });
}
