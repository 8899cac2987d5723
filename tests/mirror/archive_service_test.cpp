// SPDX-License-Identifier: MIT
#include "service_support.hpp"
#include "support/fixture_upstream.hpp"

#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/http/server.hpp>
#include <fermata/mirror/archive_service.hpp>
#include <fermata/promise/cancel.hpp>
#include <fermata/promise/sleep.hpp>

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using namespace fermata::test;
using Catch::Matchers::Contains;
using manner = fixture_upstream::manner;

namespace {

promise<git_mem::object_id> clone_into(std::string url, git_mem::object_store& store) {
  promise<git_mem::clone_result> cloning = git_mem::clone(std::move(url));
  git_mem::clone_result cloned = co_await std::move(cloning);
  const git_mem::object_id tip = cloned.tip;
  store.publish(git_mem::make_snapshot(store, std::move(cloned)));
  co_return tip;
}

// An upstream, its packages, and a mirror of their archives.
class place {
public:
  explicit place(archive_options o = archive_options()) {
    folder_.run("git init -q -b main r");
    o.folder = (folder_.path() / "cache").string();
    o.first_delay = std::chrono::hours(1);
    options_ = std::move(o);
    loop.run([this] {
      upstream.emplace();
      for (std::string& base : options_.upstream_caches) base = upstream->url(base);
      restart_in_loop();
      return ready();
    });
  }
  ~place() {
    loop.run([this] { return end(); });
  }

  /// A package of one archive; gives the checksum `sha256=...`.
  std::string add(const std::string& package,
                  const std::string& path,
                  const std::string& bytes,
                  const std::string& more = "") {
    const std::string sum = "sha256=" + sum_of(folder_, "sha256sum", bytes);
    (*upstream)[path].bytes = bytes;
    write(package,
          "url { src: \"" + upstream->url(path) + "\" checksum: \"" + sum + "\" " + more + " }\n");
    return sum;
  }
  void write(const std::string& package, const std::string& text) {
    folder_.write("r/packages/" + package.substr(0, package.find('.')) + "/" + package + "/opam",
                  text);
  }
  void remove(const std::string& package) {
    folder_.run("rm -r r/packages/" + package.substr(0, package.find('.')));
  }
  void publish() {
    folder_.run("git -C r add -A && git -C r commit -q --allow-empty -m x");
    loop.run([this] { return update(); });
  }
  void restart() {
    loop.run([this] { return end_service(); });
    change_while_down();
    loop.run([this] {
      restart_in_loop();
      return service_->update(catalogue_update());  // it is as it was
    });
  }
  answer ask(const std::string& path,
             const std::string& fields = "",
             const std::string& method = "GET") {
    return loop.run([&] { return ask_port(port_, method, path, fields); });
  }
  answer get(const std::string& sum, const std::string& fields = "") {
    return ask("/cache/" + archive_hash::parse(sum)->path(), fields);
  }
  std::vector<answer> get_twice(const std::string& sum) {
    std::vector<answer> answers;
    loop.run([&] { return ask_twice(sum, answers); });
    return answers;
  }
  void wait_for(std::function<bool(const archive_status&)> is_so) {
    loop.run([&] { return until(is_so); });
  }
  archive_status status() {
    archive_status s;
    loop.run([&] {
      s = service_->status();
      return ready();
    });
    return s;
  }
  [[nodiscard]] std::string stored(const std::string& sum) const {
    return options_.folder + "/" + archive_hash::parse(sum)->path();
  }
  [[nodiscard]] const temp_folder& folder() const { return folder_; }
  archive_service& service() { return *service_; }
  archive_options& options() { return options_; }

  std::string logged;  ///< warnings and errors
  std::function<void()> change_while_down = [] {};
  event_loop loop{logging(logged)};
  std::optional<fixture_upstream> upstream;

private:
  static loop_options logging(std::string& to) {
    loop_options options = testing::options_of_run();
    options.log = [&to](log_level level, std::string_view, std::string_view message) {
      if (level <= log_level::warn) to += std::string(message) + "\n";
    };
    return options;
  }
  void restart_in_loop() {
    service_.emplace(options_, catalogue_);
    running_ = service_->run();
    server_.emplace([this](const http::request& r) { return service_->serve(r); });
    port_ = port_of(server_->listen("127.0.0.1:0"));
  }
  promise<> ask_twice(const std::string& sum, std::vector<answer>& answers) {
    const std::string path = "/cache/" + archive_hash::parse(sum)->path();
    promise<answer> first = ask_port(port_, "GET", path);
    promise<answer> second = ask_port(port_, "GET", path);
    answers.push_back(co_await std::move(first));
    answers.push_back(co_await std::move(second));
  }
  promise<> update() {
    promise<git_mem::object_id> cloning =
        clone_into("file://" + (folder_.path() / "r").string(), store_);
    const git_mem::object_id tip = co_await std::move(cloning);
    archive_catalogue::file_list files;
    auto keep = [&files](const git_mem::tree_walk::entry& e) {
      files.push_back(e);
      return ready();
    };
    promise<> walking = git_mem::walk_files(store_.current(), tip, "packages", std::move(keep));
    co_await walking;
    promise<catalogue_update> reading = catalogue_.read(store_.current(), files);
    catalogue_update what = co_await std::move(reading);
    promise<> updating = service_->update(std::move(what));
    co_await updating;
  }
  promise<> until(const std::function<bool(const archive_status&)>& is_so) {
    while (!is_so(service_->status())) {
      promise<> tick = sleep_for(std::chrono::milliseconds(1));  // nobody tells
      co_await tick;
    }
  }
  promise<> end_service() {
    promise<> closed = server_->shutdown(std::chrono::nanoseconds(0));
    co_await closed;
    cancel(running_);
    try {
      co_await running_;
    } catch (const cancelled&) {
    }
    server_.reset();
    service_.reset();
  }
  promise<> end() {
    promise<> ended = end_service();
    co_await ended;
    promise<> closed = upstream->end();
    co_await closed;
    upstream.reset();
  }

  temp_folder folder_;
  archive_options options_;
  git_mem::object_store store_;
  archive_catalogue catalogue_;
  std::optional<archive_service> service_;
  std::optional<http::server> server_;
  promise<> running_;
  std::uint16_t port_ = 0;
};

bool is_idle(const archive_status& s) {
  return s.is_open && s.is_known && s.waiting == 0 && s.active.empty();
}

std::string failures(const archive_status& s) {
  std::string text;
  for (const failure_group& g : s.failures) {
    text += g.reason + "=" + std::to_string(g.count) + " ";
  }
  return text;
}

}  // namespace

TEST_CASE("archives are fetched and served by any of their checksums", "[mirror][archives]") {
  place p;
  const std::string sum = p.add("a.1", "/a", "hello");
  p.write("b.1",
          "url { src: \"" + p.upstream->url("/elsewhere") + "\" checksum: \"" + sum + "\" }\n");
  const std::string other = p.add("c.1", "/c", std::string(200'000, 'c'));
  p.publish();
  p.wait_for(is_idle);
  const archive_status s = p.status();
  CHECK(s.catalogue.archives == 2);
  CHECK(s.present == 2);
  CHECK(s.downloaded_bytes == 200'005);
  CHECK(p.upstream->asked("/a") == 1);
  CHECK(p.upstream->asked("/elsewhere") == 0);

  const answer all = p.get(sum);
  CHECK(all.status == 200);
  CHECK(all.body == "hello");
  CHECK(all.field("Cache-Control") == "public, max-age=31536000, immutable");
  CHECK(all.field("ETag") == "\"" + sum.substr(7) + "\"");
  CHECK(p.get("md5=5d41402abc4b2a76b9719d911017c592").body == "hello");
  CHECK(p.get("sha512=" + sum_of(p.folder(), "sha512sum", "hello")).body == "hello");
  CHECK(p.get(sum, "If-None-Match: " + all.field("ETag") + "\r\n").status == 304);
  const answer part = p.get(other, "Range: bytes=199998-\r\n");
  CHECK(part.status == 206);
  CHECK(part.body == "cc");
  CHECK(p.get(other).body == std::string(200'000, 'c'));
  const std::string path = "/cache/" + archive_hash::parse(sum)->path();
  const answer head = p.ask(path, "", "HEAD");
  CHECK(head.status == 200);
  CHECK(head.field("Content-Length") == "5");
  CHECK(head.body.empty());
  CHECK(p.status().hits == 7);
}

TEST_CASE("what is no archive is not found", "[mirror][archives]") {
  place p;
  p.add("a.1", "/a", "hello");
  p.publish();
  p.wait_for(is_idle);
  const std::string none(64, '0');
  CHECK(p.ask("/cache/sha256/00/" + none).status == 404);
  CHECK(p.ask("/cache/sha256/01/" + none).status == 404);
  CHECK(p.ask("/cache/sha1/00/" + none).status == 404);
  CHECK(p.ask("/cache/").status == 404);
  CHECK(p.ask("/cache/md5/00/" + none).status == 404);
  CHECK(p.ask("/cache/md5/..%2f..").status == 400);
  CHECK(p.status().misses == 1);
}

TEST_CASE("an archive comes from a mirror, or from an upstream cache, where its URL fails",
          "[mirror][archives]") {
  archive_options o;
  o.upstream_caches = {"/up/"};  // of the fixture
  place p(o);
  const std::string wrong =
      p.add("a.1", "/a", "one", "mirrors: [\"" + p.upstream->url("/a2") + "\"]");
  (*p.upstream)["/a"].how = manner::wrong;
  (*p.upstream)["/a2"].bytes = "one";
  const std::string lost = p.add("b.1", "/b", "two");
  (*p.upstream)["/b"].how = manner::missing;
  (*p.upstream)["/up/" + archive_hash::parse(lost)->path()].bytes = "two";
  const std::string moved = p.add("c.1", "/c", "three");
  (*p.upstream)["/c"] = {"", manner::moved, p.upstream->url("/c2")};
  (*p.upstream)["/c2"].bytes = "three";
  const std::string cut = p.add("d.1", "/d", std::string(50'000, 'd'));
  (*p.upstream)["/d"].how = manner::cut_once;
  p.publish();
  p.wait_for(is_idle);
  CHECK(p.get(wrong).body == "one");
  CHECK(p.get(lost).body == "two");
  CHECK(p.get(moved).body == "three");
  CHECK(p.get(cut).body == std::string(50'000, 'd'));
  CHECK(p.upstream->asked("/d") == 2);
  CHECK(p.upstream->asked_from_middle() >= 1);
  CHECK(failures(p.status()).empty());
}

TEST_CASE("failures are grouped by reason, known at once, and tried again", "[mirror][archives]") {
  archive_options o;
  o.largest_bytes = 1000;
  o.client.defaults.limits.first_byte_time = std::chrono::milliseconds(100);
  place p(o);
  const std::string missing = p.add("a.1", "/a", "a");
  (*p.upstream)["/a"].how = manner::missing;
  p.add("b.1", "/b", "b");
  (*p.upstream)["/b"].how = manner::failing;
  p.add("c.1", "/c", "c");
  (*p.upstream)["/c"].how = manner::wrong;
  p.add("d.1", "/d", std::string(1001, 'd'));
  p.add("e.1", "/e", std::string(900, 'e'));
  (*p.upstream)["/e"].how = manner::cut;
  p.add("f.1", "/f", "f");
  (*p.upstream)["/f"].how = manner::hanging;
  p.write("g.1",
          "url { src: \"http://127.0.0.1:1/g\" checksum: \"md5=" + std::string(32, '1') + "\" }\n");
  p.write("h.1",
          "url { src: \"file:///etc/passwd\" checksum: \"md5=" + std::string(32, '2') + "\" }\n");
  const std::string good = p.add("z.1", "/z", "z");
  p.publish();
  p.wait_for(is_idle);
  archive_status s = p.status();
  CHECK(failures(s) ==
        "broken off=1 checksum=1 connection=1 http 404=1 http 500=1 timeout=1 too large=1 ");
  CHECK(s.present == 1);
  CHECK(s.catalogue.refused == 1);
  CHECK(p.get(good).body == "z");

  const answer known = p.get(missing);
  CHECK(known.status == 404);
  CHECK_THAT(known.body, Contains("it answered 404"));
  CHECK(p.upstream->asked("/a") == 1);

  (*p.upstream)["/a"].how = manner::whole;
  CHECK(p.service().retry("http 404") == 1);
  p.wait_for([](const archive_status& now) { return now.present == 2; });
  CHECK(p.get(missing).body == "a");
  CHECK(p.upstream->asked("/b") == 1);
  (*p.upstream)["/b"].how = manner::whole;
  CHECK(p.service().retry() == 6);
  p.wait_for([](const archive_status& now) { return now.present == 3 && now.waiting == 0; });
}

TEST_CASE("an archive that is asked for is fetched once for all who ask", "[mirror][archives]") {
  archive_options o;
  o.skip_download = true;
  place p(o);
  const std::string sum = p.add("a.1", "/a", std::string(3000, 'a'));
  (*p.upstream)["/a"].how = manner::slow;
  const std::string unwanted = p.add("b.1", "/b", "b");
  const std::string missing = p.add("c.1", "/c", "c");
  (*p.upstream)["/c"].how = manner::missing;
  p.publish();
  CHECK(p.get(missing).status == 404);
  const std::vector<answer> both = p.get_twice(sum);
  CHECK(both.at(0).body == std::string(3000, 'a'));
  CHECK(both.at(1).body == std::string(3000, 'a'));
  CHECK(p.upstream->asked("/a") == 1);
  CHECK(p.upstream->asked("/b") == 0);
  CHECK(p.status().fetched == 2);
  CHECK(p.status().misses == 1);
  CHECK(p.status().waiting == 1);
}

TEST_CASE("offline nothing is fetched, and what is stored is served", "[mirror][archives]") {
  place p;
  const std::string sum = p.add("a.1", "/a", "hello");
  p.publish();
  p.wait_for(is_idle);
  const std::string late = p.add("b.1", "/b", "late");
  p.options().offline = true;
  p.restart();
  p.wait_for([](const archive_status& s) { return s.is_open; });
  CHECK(p.get(sum).body == "hello");  // before any commit is read
  p.publish();
  CHECK(p.get(late).status == 404);
  CHECK(p.upstream->asked("/b") == 0);
  CHECK(p.status().offline);
}

TEST_CASE("an archive is kept when its source is gone", "[mirror][archives]") {
  place p;
  const std::string sum = p.add("a.1", "/a", "hello");
  p.publish();
  p.wait_for(is_idle);
  (*p.upstream)["/a"].how = manner::missing;
  p.restart();
  p.publish();
  p.wait_for(is_idle);
  CHECK(p.get(sum).body == "hello");
  CHECK(p.upstream->asked("/a") == 1);
}

TEST_CASE("hosts are spared: few downloads at once, none where it asks to wait",
          "[mirror][archives]") {
  archive_options o;
  o.per_host = 2;
  place p(o);
  for (int i = 0; i < 8; ++i) {
    const std::string n = std::to_string(i);
    p.add("p" + n + ".1", "/" + n, std::string(1500, 'x') + n);
    (*p.upstream)["/" + n].how = manner::slow;
  }
  p.publish();
  p.wait_for(is_idle);
  CHECK(p.status().present == 8);
  CHECK(p.upstream->most_at_once() <= 2);

  p.add("q.1", "/q", "q");
  (*p.upstream)["/q"].how = manner::busy;
  p.publish();
  p.wait_for([](const archive_status& s) { return s.failed == 1; });
  p.add("r.1", "/r", "r");
  p.publish();
  CHECK(p.status().waiting == 1);
  CHECK(p.upstream->asked("/r") == 0);
  REQUIRE(p.status().paused.size() == 1);
  CHECK(p.status().paused[0].name == "127.0.0.1");
  CHECK(p.status().paused[0].left > std::chrono::seconds(60));
}

TEST_CASE("a damaged archive is fetched again", "[mirror][archives]") {
  archive_options o;
  o.check = true;
  place p(o);
  const std::string sum = p.add("a.1", "/a", "hello");
  p.publish();
  p.wait_for(is_idle);
  std::ofstream(p.stored(sum), std::ios::app) << "!";
  p.restart();
  p.publish();
  p.wait_for([](const archive_status& s) { return s.store.damaged == 1 && is_idle(s); });
  CHECK(p.get(sum).body == "hello");
  CHECK(p.upstream->asked("/a") == 2);
}

TEST_CASE("what no package names any more is collected", "[mirror][archives]") {
  archive_options o;
  o.keep = std::chrono::seconds(0);
  o.collect_interval = std::chrono::milliseconds(5);
  place p(o);
  const std::string sum = p.add("a.1", "/a", "hello");
  const std::string stays = p.add("b.1", "/b", "stays");
  p.publish();
  p.wait_for(is_idle);
  p.remove("a.1");
  p.publish();
  p.wait_for([](const archive_status& s) { return s.store.collected == 1; });
  CHECK(p.get(sum).status == 404);
  CHECK(p.get(stays).body == "stays");
}

TEST_CASE("a full store is a state", "[mirror][archives]") {
  archive_options o;
  o.quota_bytes = 4;
  place p(o);
  p.add("a.1", "/a", "hello");
  p.publish();
  p.wait_for(is_idle);
  CHECK(p.status().store.is_full);
  CHECK(failures(p.status()) == "store full=1 ");
}

namespace {

bool is_at_rest(const archive_status& s) { return s.is_open && s.waiting == 0 && s.active.empty(); }

}  // namespace

TEST_CASE("a download that broke goes on after a restart", "[mirror][archives]") {
  place p;
  const std::string bytes = std::string(30'000, 'a') + std::string(20'000, 'b');
  const std::string sum = p.add("a.1", "/a", bytes);
  (*p.upstream)["/a"].how = manner::cut;
  p.publish();
  p.wait_for(is_idle);
  CHECK(failures(p.status()) == "broken off=1 ");
  CHECK(p.status().store.partial == 1);
  const int asked = p.upstream->asked("/a");
  const int ranges = p.upstream->asked_from_middle();
  (*p.upstream)["/a"].how = manner::whole;
  p.restart();
  p.wait_for(is_at_rest);
  CHECK(p.status().store.partial == 1);
  CHECK(p.upstream->asked("/a") == asked);  // it has a time of its own
  CHECK(p.service().retry("broken off") == 1);
  p.wait_for([](const archive_status& s) { return s.present == 1; });
  CHECK(p.upstream->asked_from_middle() == ranges + 1);
  CHECK(p.get(sum).body == bytes);
  CHECK(p.status().store.partial == 0);
}

TEST_CASE("what was kept and is not what it was is fetched from its beginning",
          "[mirror][archives]") {
  place p;
  const std::string bytes(50'000, 'a');
  const std::string sum = p.add("a.1", "/a", bytes);
  (*p.upstream)["/a"].how = manner::cut;
  p.publish();
  p.wait_for(is_idle);
  (*p.upstream)["/a"].how = manner::whole;
  const std::string kept = p.options().folder + "/.new/sha256-" + archive_hash::parse(sum)->hex();
  SECTION("bytes that the disk has changed") {
    p.change_while_down = [&] { std::ofstream(kept) << std::string(1000, 'x'); };
  }
  SECTION("all, and more than there is") {
    p.change_while_down = [&] { std::ofstream(kept) << std::string(60'000, 'x'); };
  }
  p.restart();
  p.wait_for(is_at_rest);
  p.service().retry();
  p.wait_for([](const archive_status& s) { return s.present == 1; });
  CHECK(p.get(sum).body == bytes);
}

TEST_CASE("a download that is whole but for its name is not fetched again", "[mirror][archives]") {
  place p;
  const std::string bytes(50'000, 'a');
  const std::string sum = p.add("a.1", "/a", bytes);
  (*p.upstream)["/a"].how = manner::cut;
  p.publish();
  p.wait_for(is_idle);
  (*p.upstream)["/a"].how = manner::whole;
  const std::string kept = p.options().folder + "/.new/sha256-" + archive_hash::parse(sum)->hex();
  p.change_while_down = [&] { std::ofstream(kept) << bytes; };
  const int asked = p.upstream->asked("/a");
  p.restart();
  p.wait_for(is_at_rest);
  p.service().retry();
  p.wait_for([](const archive_status& s) { return s.present == 1; });
  CHECK(p.upstream->asked("/a") == asked + 1);  // which was told that there is no more
  CHECK(p.get(sum).body == bytes);
}

TEST_CASE("failed downloads keep their schedule over a restart", "[mirror][archives]") {
  place p;
  const std::string lost = p.add("a.1", "/a", "a");
  (*p.upstream)["/a"].how = manner::missing;
  p.add("b.1", "/b", "b");
  (*p.upstream)["/b"].how = manner::failing;
  const std::string later = p.add("c.1", "/c", "c");
  (*p.upstream)["/c"].how = manner::missing;
  p.publish();
  p.wait_for(is_idle);
  const archive_status before = p.status();
  CHECK(failures(before) == "http 404=2 http 500=1 ");
  p.restart();
  p.wait_for(is_at_rest);
  const archive_status after = p.status();
  CHECK(failures(after) == failures(before));
  CHECK(p.upstream->asked("/a") == 1);
  CHECK(p.upstream->asked("/b") == 1);
  REQUIRE(after.failures.size() == 2);
  const failed_download& f = after.failures[1].examples.at(0);
  CHECK(f.text == before.failures[1].examples.at(0).text);
  CHECK(f.since == before.failures[1].examples.at(0).since);
  CHECK(f.packages == "b.1");
  CHECK(f.tries == 1);
  CHECK(f.next_try > std::chrono::minutes(30));
  CHECK_THAT(p.get(lost).body, Contains("it answered 404"));
  (*p.upstream)["/b"].how = manner::whole;
  CHECK(p.service().retry("http 500") == 1);
  p.wait_for([](const archive_status& s) { return s.present == 1; });

  SECTION("what is declared elsewhere now is tried at once") {
    p.add("c.1", "/c2", "c");
    p.publish();
    p.restart();
    p.wait_for(is_at_rest);
    CHECK(p.get(later).body == "c");
    CHECK(failures(p.status()) == "http 404=1 ");
  }
  SECTION("with another upstream cache all are tried at once") {
    p.change_while_down = [&] { p.options().upstream_caches = {p.upstream->url("/up/")}; };
    p.restart();
    p.wait_for(is_at_rest);
    CHECK(p.upstream->asked("/a") == 2);
    CHECK(p.upstream->asked("/c") == 2);
  }
  SECTION("a damaged list is set aside, said, and all are tried at once") {
    const std::string list = p.options().folder + "/failures";
    p.change_while_down = [&] { std::ofstream(list, std::ios::app) << "{}\n"; };
    p.restart();
    p.wait_for(is_at_rest);
    CHECK_THAT(p.logged, Contains("cannot use what was known of failures: " + list +
                                  ": its checksum does not fit; it is now " + list + ".refused"));
    CHECK(std::filesystem::exists(list + ".refused"));
    CHECK(p.upstream->asked("/a") == 2);
    CHECK(p.upstream->asked("/c") == 2);
  }
}

TEST_CASE("several ranges are answered with all, as RFC 9110 allows", "[mirror][archives]") {
  place p;
  const std::string bytes = "0123456789" + std::string(200'000, 'x');
  const std::string sum = p.add("a.1", "/a", bytes);
  p.publish();
  p.wait_for(is_idle);
  const answer all = p.get(sum, "Range: bytes=0-1,5-6\r\n");
  CHECK(all.status == 200);
  CHECK(all.body == bytes);
  const answer touching = p.get(sum, "Range: bytes=0-1,2-6\r\n");
  CHECK(touching.status == 206);
  CHECK(touching.field("Content-Range") == "bytes 0-6/200010");
  CHECK(touching.body == "0123456");
  CHECK(p.get(sum, "Range: bytes=-2\r\n").body == "xx");
  const answer beyond = p.get(sum, "Range: bytes=200010-\r\n");
  CHECK(beyond.status == 416);
  CHECK(beyond.field("Content-Range") == "bytes */200010");
  const std::string etag = "\"" + archive_hash::parse(sum)->hex() + "\"";
  CHECK(p.get(sum, "Range: bytes=0-3\r\nIf-Range: " + etag + "\r\n").body == "0123");
  CHECK(p.get(sum, "Range: bytes=0-3\r\nIf-Range: \"other\"\r\n").status == 200);
}
