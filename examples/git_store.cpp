// SPDX-License-Identifier: MIT
// A git store in memory: written, read, saved, restored, compacted.

#include <fermata/git_mem/change.hpp>
#include <fermata/git_mem/compact.hpp>
#include <fermata/git_mem/log.hpp>
#include <fermata/git_mem/revparse.hpp>
#include <fermata/git_mem/saved_store.hpp>
#include <fermata/git_mem/walk.hpp>

#include <cstdio>
#include <filesystem>
#include <string>

using namespace fermata::git_mem;
using fermata::bytes_of;
using fermata::promise;

namespace {

// [write]
promise<object_id> write_commit(object_store& store, std::string text, std::string message) {
  change c(store);
  promise<object_id> blob = c.add_blob(bytes_of(text));
  tree_item file;
  file.name = "notes.txt";
  file.id = co_await blob;
  promise<object_id> tree = c.add_tree({1, file});
  commit next;
  next.tree = co_await tree;
  if (const reference* main = store.current()->find_ref("refs/heads/main")) {
    next.parents.push_back(main->id);
  }
  next.author = next.committer = parse_signature("A Writer <a@writer.example> 1700000000 +0100");
  next.message = message;
  const object_id expected = next.parents.empty() ? object_id() : next.parents[0];
  promise<object_id> added = c.add_commit(next);
  const object_id id = co_await added;
  c.set_ref("refs/heads/main", id, expected);  // or reason::conflict
  c.set_symbolic_ref("HEAD", "refs/heads/main");
  promise<> published = c.publish();
  co_await published;
  co_return id;
}
// [/write]

// [read]
promise<> show(snapshot_ptr s) {
  promise<object_id> found = get_revision(s, "HEAD~1:notes.txt");
  const object_id id = co_await found;
  promise<object> read = get_object(s, id);
  const object before = co_await std::move(read);
  std::printf("before: %.*s\n", static_cast<int>(before.text().size()), before.text().data());
  commit_log log(s, {1, s->find_ref("HEAD")->id});
  for (;;) {
    promise<std::optional<commit>> next = log.next();
    const std::optional<commit> c = co_await next;
    if (!c) break;
    std::printf("commit: %s\n", c->message.c_str());
  }
  promise<> walked = walk_files(s, s->find_ref("HEAD")->id, "", [](const tree_walk::entry& e) {
    std::printf("file: %s, %d bytes\n", e.path.c_str(), static_cast<int>(e.size_bytes));
    return fermata::ready();
  });
  co_await walked;
}
// [/read]

// [save]
promise<> save_and_restore(object_store& store, std::string path) {
  promise<compact_report> compacted = compact(store);  // one pack of what the refs reach
  co_await compacted;
  promise<> saved = save(store, path);
  co_await saved;
  object_store restored;
  promise<> back = restore(restored, path);
  co_await back;
  std::printf("restored: %d objects\n", static_cast<int>(restored.current()->object_count()));
}
// [/save]

promise<> run(std::string path) {
  object_store store;
  promise<object_id> first = write_commit(store, "one", "the first");
  co_await first;
  promise<object_id> second = write_commit(store, "two, longer", "the second");
  co_await second;
  promise<> shown = show(store.current());
  co_await shown;
  promise<> kept = save_and_restore(store, path);
  co_await kept;
}

}  // namespace

int main() {
  const auto path = std::filesystem::temp_directory_path() / "fermata-example-store";
  fermata::event_loop loop;
  loop.run([&] { return run(path.string()); });
  std::filesystem::remove(path);
}
