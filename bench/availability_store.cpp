// SPDX-License-Identifier: MIT
#include "availability_store.hpp"

#include <fermata/git_mem/change.hpp>
#include <fermata/git_mem/compact.hpp>
#include <fermata/git_mem/diff.hpp>
#include <fermata/git_mem/export_bare.hpp>
#include <fermata/git_mem/log.hpp>
#include <fermata/git_mem/push.hpp>
#include <fermata/git_mem/saved_store.hpp>
#include <fermata/promise/run_command.hpp>

#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace fermata::bench {

namespace git = git_mem;

namespace {

// A pack more, so that there is something to do: all that refs reach is copied.
promise<> compact_store(git::object_store& store, git::object_id tip) {
  git::change c(store);
  promise<git::object_id> added = c.add_blob(bytes_of(std::string_view("one more")));
  co_await added;
  c.set_ref("refs/heads/kept", tip);
  promise<> published = c.publish();
  co_await published;
  promise<git::compact_report> compacting = git::compact(store);
  const git::compact_report report = co_await compacting;
  if (report.packs_before < 2) throw error("there was nothing to compact");
}

// History to its end, and what has changed since.
promise<> compare_ends(const git::object_store& store, git::object_id tip) {
  git::commit_log log(store.current(), {1, tip});
  git::object_id last = tip;
  for (;;) {
    promise<std::optional<git::commit>> next = log.next();
    const std::optional<git::commit> c = co_await std::move(next);
    if (!c) break;
    last = c->id;
  }
  promise<std::vector<git::file_change>> listing = git::list_changes(store.current(), last, tip);
  co_await std::move(listing);
}

// Into an empty repository: all is sent.
promise<> push_all(const git::object_store& store, git::object_id tip, std::string to) {
  command c({"sh", "-ec",
             "git init -q --bare \"$0\" && git -C \"$0\" config receive.shallowUpdate true", to});
  promise<run_result> made = run_command(std::move(c));
  const run_result ran = co_await std::move(made);
  if (!ran.status.is_success()) throw error("cannot make a repository: " + ran.err);
  promise<git::push_result> pushing =
      git::push(store.current(), to, {1, git::push_command("refs/heads/main", tip)});
  const git::push_result pushed = co_await std::move(pushing);
  if (!pushed.is_success()) throw error("cannot push: " + pushed.refs.at(0).refused);
}

promise<> restore_store(std::string from) {
  git::object_store other;
  promise<> restored = git::restore(other, from);
  co_await restored;
  other.publish({});
  promise<> freed = git::reclaim(other);
  co_await freed;
}

}  // namespace

scratch_folder::scratch_folder() {
  std::string name =
      (std::filesystem::temp_directory_path() / "fermata-availability-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
}

scratch_folder::~scratch_folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

const std::vector<std::string>& store_phases() {
  static const std::vector<std::string> names = {"save", "restore", "export",
                                                 "diff", "push",    "compact"};
  return names;
}

promise<> run_store_phase(std::string name,
                          git::object_store& store,
                          git::object_id tip,
                          const scratch_folder& in) {
  if (name == "save") return git::save(store, in / "store");
  if (name == "restore") return restore_store(in / "store");
  if (name == "export") return git::export_bare(store, in / "export.git");
  if (name == "diff") return compare_ends(store, tip);
  if (name == "push") return push_all(store, tip, in / "push.git");
  return compact_store(store, tip);
}

}  // namespace fermata::bench
