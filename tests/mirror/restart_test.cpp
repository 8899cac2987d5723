// SPDX-License-Identifier: MIT
// What the service keeps in its data folder, and finds there when it starts again.

#include "service_support.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using nlohmann::json;

TEST_CASE("an index that was kept is served at once after a restart", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_for(folder);
  options.data_directory = (folder.path() / "data").string();
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

TEST_CASE("a kept index that is damaged is cloned anew", "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  folder.write("data/index", "rubbish");
  service_options options = options_for(folder);
  options.data_directory = (folder.path() / "data").string();
  site s(std::move(options));
  const std::string warning = s.wait_for("warn");
  CHECK_THAT(warning, StartsWith("warn cannot use the index that was kept: "));
  CHECK(s.wait_for("served") == "served " + head_of(folder));
}

TEST_CASE("the repository that was kept is fetched into, unless it is damaged",
          "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_for(folder);
  options.data_directory = (folder.path() / "data").string();
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
  service_options options = options_for(folder);
  options.data_directory = (folder.path() / "data").string();
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

TEST_CASE("a compacted repository is kept, and is what a restart fetches onto",
          "[mirror][update]") {
  const temp_folder folder;
  make_repository(folder);
  service_options options = options_for(folder);
  options.data_directory = (folder.path() / "data").string();
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
  service_options options = options_for(folder);
  options.data_directory = (folder.path() / "data").string();
  const site s(options);
  CHECK_THROWS_WITH(service(options),
                    StartsWith("cannot use " + options.data_directory + ": another process holds"));
}
