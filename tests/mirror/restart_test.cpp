// SPDX-License-Identifier: MIT
// What the service keeps in its data folder, and finds there when it starts again.

#include "service_support.hpp"
#include "support/fixture_upstream.hpp"

#include <fermata/promise/sleep.hpp>

#include <catch2/catch.hpp>

#include <filesystem>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

TEST_CASE("an index that was kept is served at once after a restart", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_with_data(folder);
  std::string etag;
  {
    site first(options);
    first.wait_for("phase save");
    etag = first.get("/index.tar.gz").field("ETag");
  }
  REQUIRE(std::filesystem::exists(folder.path() / "data" / "index"));
  folder.run("mv r away");
  site second(options);
  CHECK(second.wait_for("served") ==
        "served " + folder.output("git -C away rev-parse HEAD").substr(0, 40));
  CHECK(second.get("/index.tar.gz").field("ETag") == etag);
  second.wait_for("error");
  CHECK(second.get("/index.tar.gz").status == 200);
  folder.run("mv away r");
  add_commit(folder, "3");
  second.mirror.ask_update();
  CHECK(second.wait_for("served") == "served " + head_of(folder));
}

TEST_CASE("what clients know by its date stays so over a restart", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  folder.run("cd r && GIT_COMMITTER_DATE='@1700000000 +0000' git commit -q --amend -m old");
  folder.run("git -C r tag old");
  add_commit(folder, "3");
  std::string date;
  {
    site first(options_with_data(folder));
    first.wait_for("served");
    folder.run("git -C r reset -q --hard old");  // its date is not that of its commit then
    first.mirror.ask_update();
    CHECK(first.wait_for("served") == "served " + head_of(folder));
    date = first.get("/index.tar.gz").field("Last-Modified");
    first.wait_for("phase save");
  }
  site second(options_with_data(folder));
  second.wait_for("served");
  CHECK(second.get("/index.tar.gz").field("Last-Modified") == date);
  CHECK(second.get("/repo", "If-Modified-Since: " + date + "\r\n").status == 304);
  // Its commit is older than what clients have.
  folder.write("r/packages/a/a.4/opam", "opam-version: \"2.0\"\n");
  folder.run("cd r && git add . && GIT_COMMITTER_DATE='@1700000001 +0000' git commit -q -m 4");
  second.mirror.ask_update();
  CHECK(second.wait_for("served") == "served " + head_of(folder));
  CHECK(second.get("/index.tar.gz", "If-Modified-Since: " + date + "\r\n").status == 200);
}

TEST_CASE("a kept index that is damaged is cloned anew", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  folder.write("data/index", "rubbish");
  service_options options = options_with_data(folder);
  site s(std::move(options));
  const std::string warning = s.wait_for("warn");
  CHECK_THAT(warning, StartsWith("warn cannot use the index that was kept: "));
  CHECK(s.wait_for("served") == "served " + head_of(folder));
}

TEST_CASE("the repository that was kept is fetched into, unless it is damaged",
          "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_with_data(folder);
  {
    site first(options);
    first.wait_for("phase save");
  }
  REQUIRE(std::filesystem::exists(folder.path() / "data" / "store"));
  add_commit(folder, "3");
  bool is_damaged = false;
  SECTION("whole") {}
  SECTION("damaged") {
    is_damaged = true;
    folder.run("echo x | dd of=data/store bs=1 seek=200 conv=notrunc status=none");
  }
  SECTION("a link to itself") {
    is_damaged = true;
    folder.run("ln -sf store data/store");
  }
  site second(options);
  second.wait_for("served");
  CHECK(second.wait_for("served") == "served " + head_of(folder));
  CHECK(second.happened.count("phase clone") == (is_damaged ? 1U : 0U));
  CHECK(second.happened.count("phase fetch") == (is_damaged ? 0U : 1U));
  CHECK(second.happened.count("warn cannot use the repository that was kept: cannot ") ==
        (is_damaged ? 1U : 0U));
  const auto aside = std::filesystem::symlink_status(folder.path() / "data" / "store.refused");
  CHECK(std::filesystem::exists(aside) == is_damaged);
}

TEST_CASE("after a restart all is known of the index that was kept", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_with_data(folder);
  {
    site first(options);
    first.wait_for("phase save");
  }
  site second(options);
  second.wait_for("phase read");
  CHECK(second.happened.count("served") == 1);
  CHECK(second.happened.count("phase save") == 0);
  CHECK(second.mirror.status().packages.opam_files == 3);
  const std::shared_ptr<const generation> kept = second.mirror.current();
  add_commit(folder, "3");
  second.mirror.ask_update();
  second.wait_for("served");
  CHECK(second.mirror.current()->files == kept->files + 1);
}

namespace {

// All that is wanted is compared with what there is, and `waiting` are to be fetched.
promise<> until_compared(const service& of, std::size_t waiting) {
  for (;;) {
    const archive_status s = *of.archives();
    const bool is_compared = s.is_open && s.is_known && s.active.empty();
    if (is_compared && s.waiting == waiting) co_return;
    promise<> tick = sleep_for(1ms);  // nobody tells
    co_await tick;
  }
}

}  // namespace

TEST_CASE("after a restart all is known of the archives, also while upstream is away",
          "[mirror][update][archives]") {
  const temp_folder folder;
  make_repository(folder);
  folder.write("one.tar", "one");
  const auto add_archive = [&folder](const std::string& name, const std::string& sum) {
    folder.write("r/packages/" + name + "/" + name + ".1/opam",
                 "url { src: \"file://" + (folder.path() / (name + ".tar")).string() +
                     "\" checksum: \"sha256=" + sum + "\" }\n");
  };
  const std::string sum = fermata::test::sum_of(folder, "sha256sum", "one");
  add_archive("one", sum);
  add_archive("lost", std::string(64, 'a'));
  folder.run("cd r && git add . && git commit -q -m archives");
  service_options options = options_with_data(folder);
  options.archives.folder = options.data_directory + "/cache";
  options.archives.first_delay = 1h;
  options.archives.allow_file = true;
  const std::string path = "/cache/sha256/" + sum.substr(0, 2) + "/" + sum;
  {
    site first(options);
    first.wait_for("phase save");
    first.loop.run([&] { return until_compared(first.mirror, 0); });
    CHECK(first.get(path).body == "one");
  }
  folder.run("rm -r data/cache/md5 data/cache/sha256 data/cache/sha512");
  folder.run("mv r away");
  SECTION("what is lost is fetched by itself") {
    site second(options);
    second.wait_for("error");
    second.loop.run([&] { return until_compared(second.mirror, 0); });
    CHECK(second.get(path).body == "one");
    CHECK(second.mirror.archives()->present == 1);
    CHECK(second.mirror.archives()->downloaded == 1);
  }
  SECTION("or where it is asked for, and the next update reads only what is new") {
    options.archives.skip_download = true;
    site second(options);
    second.wait_for("error");
    second.loop.run([&] { return until_compared(second.mirror, 1); });
    const service_status status = second.mirror.status();
    CHECK(status.packages.is_known);
    CHECK(status.packages.opam_files == 5);
    CHECK(status.packages.archives == 2);
    CHECK(status.archives->failed == 1);
    CHECK(status.archives->present == 0);
    CHECK(second.get(path).body == "one");
    CHECK(second.mirror.archives()->present == 1);
    CHECK(second.get("/cache/md5/00/" + std::string(32, '0')).status == 404);
    folder.run("mv away r");
    add_commit(folder, "3");
    second.mirror.ask_update();
    second.wait_for("phase read");
    CHECK(second.mirror.status().packages.opam_files == 6);
    CHECK(second.mirror.archives()->present == 1);
  }
}

TEST_CASE("a kept repository without the commit that is served tells nothing of archives",
          "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_with_data(folder);
  {
    site first(options);
    first.wait_for("phase save");
    folder.run("cp data/store before");
    add_commit(folder, "3");
    first.mirror.ask_update();
    first.wait_for("phase save");
  }
  folder.run("mv before data/store && mv r away");  // as if it was killed between the two
  site second(options);
  second.wait_for("error");
  CHECK_FALSE(second.mirror.status().packages.is_known);
  CHECK(second.get("/index.tar.gz").status == 200);
}

TEST_CASE("an update clones anew where what was fetched is not whole", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_for(folder);
  options.first_delay = 1ms;
  site s(std::move(options));
  s.wait_for("served");
  // Upstream lies: its new tree has what the mirror's commit does not have, and it was not sent.
  add_commit(folder, "3");
  folder.run(
      "cd r && blob=$(git rev-parse HEAD:packages/a/a.3/opam) && cp -r .git ../whole && rm "
      ".git/objects/$(echo $blob | cut -c1-2)/$(echo $blob | cut -c3-)");
  s.mirror.ask_update();
  CHECK_THAT(s.wait_for("error"), StartsWith("error cannot fetch "));
  folder.run("rm -rf r/.git && mv whole r/.git");
  CHECK(s.wait_for("served") == "served " + head_of(folder));
}

TEST_CASE("after some fetches the packs become one, and are fetched onto", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_for(folder);
  options.most_fetches = 2;
  site s(std::move(options));
  s.wait_for("served");
  for (const char* version : {"3", "4", "5", "6"}) {
    add_commit(folder, version);
    s.mirror.ask_update();
    CHECK(s.wait_for("served") == "served " + head_of(folder));
  }
  CHECK(s.mirror.current()->files == 6 + 4);
  s.wait_for("phase release");
  CHECK(s.happened.count("phase clone") == 1);
  CHECK(s.happened.count("phase fetch") == 4);
  CHECK(s.happened.count("phase compact") == 2);
  const answer refs = s.get("/repository.git/info/refs?service=git-upload-pack");
  CHECK(refs.status == 200);
  CHECK_THAT(refs.body, Contains(head_of(folder)));
}

TEST_CASE("a mirror holds nothing of a default branch that was given up", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_for(folder);
  options.most_fetches = 1;
  site s(std::move(options));
  s.wait_for("served");
  const std::string old = head_of(folder);
  folder.run(
      "cd r && git checkout -q -b trunk && git commit -q --amend -m new && git branch -D master");
  s.mirror.ask_update();
  CHECK(s.wait_for("served") == "served " + head_of(folder));
  s.wait_for("phase release");
  const answer refs = s.get("/repository.git/info/refs?service=git-upload-pack");
  CHECK_THAT(refs.body, Contains("symref=HEAD:refs/heads/trunk"));
  CHECK_THAT(refs.body, !Contains(old));
}

TEST_CASE("a compacted repository is kept, and is what a restart fetches onto",
          "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_with_data(folder);
  options.most_fetches = 1;
  {
    site s(options);
    s.wait_for("served");
    add_commit(folder, "3");
    s.mirror.ask_update();
    s.wait_for("phase compact");
    s.wait_for("phase save");
  }
  add_commit(folder, "4");
  site s(options);
  s.wait_for("served");
  CHECK(s.wait_for("served") == "served " + head_of(folder));
  CHECK(s.happened.count("phase clone") == 0);
  CHECK(s.mirror.current()->files == 6 + 2);
}

TEST_CASE("a data folder serves one service at a time", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_with_data(folder);
  const site s(options);
  CHECK_THROWS_WITH(service(options),
                    StartsWith("cannot use " + options.data_directory + ": another process holds"));
}
