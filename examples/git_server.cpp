// SPDX-License-Identifier: MIT
// A repository that is made in memory, and cloned from there by real git.

#include <fermata/git_mem/change.hpp>
#include <fermata/git_mem/http_backend.hpp>
#include <fermata/http/server.hpp>
#include <fermata/promise/run_command.hpp>

#include <cstdio>

namespace git = fermata::git_mem;
using fermata::promise;

namespace {

// [commit]
promise<> add_first_commit(git::object_store& store) {
  git::change c(store);
  promise<git::object_id> text = c.add_blob(fermata::bytes_of("made in memory\n"));
  const git::object_id blob = co_await text;
  std::vector<git::tree_item> items(1);
  items[0].name = "README";
  items[0].id = blob;
  promise<git::object_id> tree = c.add_tree(items);
  git::commit first;
  first.tree = co_await tree;
  first.author.name = first.committer.name = "somebody";
  first.message = "the first\n";
  promise<git::object_id> added = c.add_commit(first);
  const git::object_id id = co_await added;
  c.set_ref("refs/heads/main", id);
  c.set_symbolic_ref("HEAD", "refs/heads/main");
  promise<> published = c.publish();
  co_await published;
}
// [/commit]

promise<> clone_from_ourselves(git::object_store& store) {
  promise<> made = add_first_commit(store);
  co_await made;
  // [serve]
  fermata::http::router routes;
  git::mount_repository(routes, "/repository.git", [&store] { return store.current(); });
  fermata::http::server server([&](const fermata::http::request& r) { return routes(r); });
  const std::string address = server.listen("127.0.0.1:0");
  // [/serve]
  fermata::command clone({"sh", "-c",
                          "git clone -q \"$0\" \"$1\" && cat \"$1\"/README; rm -rf \"$1\"",
                          "http://" + address + "/repository.git", "example-git-server-clone"});
  promise<fermata::run_result> running = fermata::run_command(clone);
  const fermata::run_result cloned = co_await running;
  std::printf("%s%s", cloned.out.c_str(), cloned.err.c_str());
  promise<> ended = server.shutdown(std::chrono::seconds(1));
  co_await ended;
}

}  // namespace

int main() {
  fermata::event_loop loop;
  git::object_store store;
  loop.run([&] { return clone_from_ourselves(store); });
}
