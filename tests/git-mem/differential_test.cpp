// SPDX-License-Identifier: MIT
// Random repositories made by real git, cloned by us, and cloned by real git from us: each object
// must be, byte for byte, what `git cat-file` says it is.

#include "support/git_server.hpp"
#include "support/random_repository.hpp"

#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/naming.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/promise/pause.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;

namespace {

// Each object that git lists, from our store. The text is `git cat-file --batch`'s.
promise<std::size_t> compare_objects(snapshot_ptr s, const std::string& listed) {
  std::size_t objects = 0;
  std::size_t differ = 0;
  for (std::size_t at = 0; at < listed.size(); ++objects) {
    const std::size_t end = listed.find('\n', at);
    const std::string head = listed.substr(at, end - at);  // "<id> <type> <size>"
    const std::size_t size = std::stoul(head.substr(head.rfind(' ') + 1));
    const object_id id = *object_id::from_hex(head.substr(0, 40));
    promise<object> reading = get_object(s, id);
    const object o = co_await std::move(reading);
    const std::string ours =
        id.hex() + " " + std::string(type_name(o.type)) + " " + std::to_string(o.content.size());
    if (ours != head || o.text() != std::string_view(listed).substr(end + 1, size)) ++differ;
    at = end + 1 + size + 1;
    co_await fermata::maybe_pause();
  }
  CHECK(differ == 0);
  co_return objects;
}

// The same for what is too much to hold twice: a name is that of one content.
promise<std::size_t> compare_names(snapshot_ptr s, const std::string& listed) {
  std::size_t objects = 0;
  std::size_t differ = 0;
  for (std::size_t at = 0; at < listed.size(); ++objects) {
    const std::size_t end = listed.find('\n', at);
    const object_id id = *object_id::from_hex(listed.substr(at, 40));
    promise<object> reading = get_object(s, id);
    const object o = co_await std::move(reading);
    const std::string ours = name_object(o.type, o.bytes()).hex() + " " +
                             std::string(type_name(o.type)) + " " +
                             std::to_string(o.content.size());
    if (ours != listed.substr(at, end - at)) ++differ;
    at = end + 1;
    co_await fermata::maybe_pause();
  }
  CHECK(differ == 0);
  co_return objects;
}

promise<clone_result> clone_whole(std::string url) {
  clone_options all;
  all.depth = 0;
  promise<clone_result> cloning = clone(std::move(url), all);
  co_return co_await std::move(cloning);
}

void check_clone(fermata::event_loop& loop, const std::string& path, const std::string& listed) {
  object_store store;
  store.publish(make_snapshot(store, loop.run([&] { return clone_whole(path + "#main"); })));
  const std::size_t objects = loop.run([&] { return compare_objects(store.current(), listed); });
  CHECK(objects == store.current()->object_count());
}

}  // namespace

TEST_CASE("random repositories are the same, cloned by us, by git, and by git from us",
          "[git_mem][differential]") {
  const unsigned seed = GENERATE(1U, 2U, 3U);
  temp_folder in;
  in.write("stream", random_history(seed).stream(60, seed == 1 ? 3000 : 20));
  in.run(
      "git init -q --bare -b main r && cd r && git fast-import --quiet --done --force < ../stream "
      "&& "
      "git repack -qadf --depth=" +
      std::to_string(seed * 20) + " --window=20");
  fermata::event_loop loop(fermata::testing::options_of_run());
  const std::string list = " | cut -c1-40 | git cat-file --batch";
  check_clone(loop, (in.path() / "r").string(),
              in.output("cd r && git rev-list --objects main" + list));

  object_store store;
  load_repository(in, "r", store);
  git_server server(store);
  const std::string every =
      "git cat-file --batch --batch-all-objects | sha1sum; git for-each-ref | "
      "sha1sum";
  CHECK(server.run(in, "git clone -q --mirror $URL m 2>&1 && cd m && git fsck --full 2>&1 && " +
                           every) == in.output("cd r && " + every));
}

TEST_CASE("every object of the real repository is what git says", "[.slow]") {
  std::filesystem::path tar;
  if (!find_shared_data("opam-repository-since-2025-06.git.tar", tar)) return;
  temp_folder in;
  in.run("tar xf '" + tar.string() + "' && mv *.git r && git -C r update-ref refs/heads/main HEAD");
  fermata::event_loop loop(fermata::testing::options_of_run());
  object_store store;
  store.publish(make_snapshot(
      store, loop.run([&] { return clone_whole((in.path() / "r").string() + "#main"); })));
  const std::string listed =
      in.output("cd r && git rev-list --objects main | cut -c1-40 | git cat-file --batch-check");
  CHECK(loop.run([&] { return compare_names(store.current(), listed); }) ==
        store.current()->object_count());
}
