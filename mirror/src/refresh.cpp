// SPDX-License-Identifier: MIT
// From a remote to a generation: clone or fetch, walk, index. What is used on the way stands in one
// struct that outlives all of it, so that it is freed in slices however the work ends.
//
// The objects stay in the service's store, the list of files and the places of the blocks in
// `kept_index`: groups of files that did not change are taken over from the index that is served.

#include "followed_branch.hpp"
#include "kept_index.hpp"
#include "service_core.hpp"

#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/compact.hpp>
#include <fermata/git_mem/fetch.hpp>
#include <fermata/git_mem/tree.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/mirror/index_builder.hpp>
#include <fermata/mirror/repo_file.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/pause.hpp>

#include <utility>

namespace fermata::mirror {
namespace {

using git_mem::failure;
using git_mem::file_mode;
using git_mem::reason;
using git_mem::step_state;

constexpr std::chrono::microseconds free_cost{50};
constexpr std::chrono::microseconds parse_cost{100};  // a commit, by libgit2
constexpr std::chrono::microseconds file_cost{1};
constexpr std::uint64_t longest_version_bytes = 64 * 1024;
constexpr std::size_t repo_bytes_on_loop = 16 * 1024;
constexpr int deepest_tag = 16;

struct workshop {
  std::string ref;  // that is followed
  git_mem::snapshot_ptr from;
  git_mem::commit commit;
  std::unique_ptr<generation> made;
  std::unique_ptr<kept_index> kept = std::make_unique<kept_index>();
};

void show_clone(service_core& core, const git_mem::clone_progress& p) {
  if (p.phase == git_mem::clone_phase::done) return;  // what was done last stays in sight
  const bool has_objects =
      p.phase == git_mem::clone_phase::receive || p.phase == git_mem::clone_phase::resolve;
  const std::string_view phase =
      has_objects ? std::string_view("receive and analyse") : git_mem::phase_name(p.phase);
  if (core.progress.phase != phase) core.enter(phase);
  if (p.objects_total == 0) return;
  core.progress.done = p.objects_done;
  core.progress.total = p.objects_total;
  core.progress.bytes = p.bytes;
}

// The commit that a tag stands for, or the id itself.
promise<git_mem::object_id> peel(git_mem::snapshot_ptr from, git_mem::object_id id) {
  for (int i = 0; i < deepest_tag; ++i) {
    const auto header = from->find_object(id);
    if (!header || header->type != git_mem::object_type::tag) co_return id;
    promise<git_mem::object> read = git_mem::get_object(from, id, git_mem::small_object_bytes);
    const git_mem::object tag = co_await std::move(read);
    const std::string_view text = tag.text();
    const auto next = text.starts_with("object ") ? git_mem::object_id::from_hex(text.substr(7, 40))
                                                  : std::nullopt;
    if (!next) throw failure(reason::corrupt, "tag " + id.hex() + ": it names no object");
    id = *next;
  }
  throw failure(reason::limit, "tag " + id.hex() + ": too many tags of tags");
}

promise<git_mem::object_id> clone_all(service_core& core, workshop& w, git_mem::clone_options how) {
  core.meter.begin("clone");
  promise<git_mem::clone_result> cloning = git_mem::clone(core.options.remote, std::move(how));
  git_mem::clone_result cloned = co_await std::move(cloning);
  const git_mem::object_id tip = cloned.tip;
  w.ref = cloned.ref;
  if (!cloned.is_empty()) {
    core.store.publish(git_mem::make_snapshot(core.store, std::move(cloned)));
    core.is_store_sound = true;
    core.is_store_saved = false;
  }
  co_return tip;
}

// What is wrong with more than the connection may come from what we have: then all is cloned anew.
promise<git_mem::object_id> fetch_new(service_core& core, workshop& w, git_mem::clone_options how) {
  core.meter.begin("fetch");
  promise<git_mem::fetch_result> fetching =
      git_mem::fetch(core.store, core.options.remote, std::move(how));
  try {
    const git_mem::fetch_result fetched = co_await std::move(fetching);
    if (fetched.has_new) core.is_store_saved = false;
    w.ref = fetched.ref;
    co_return fetched.tip;
  } catch (const failure& f) {
    core.is_store_sound = f.why() == reason::remote || f.why() == reason::not_found;
    throw;
  }
}

promise<> receive_into(service_core& core, workshop& w) {
  git_mem::clone_options how = core.options.clone;
  how.on_progress = [&core](const git_mem::clone_progress& p) { show_clone(core, p); };
  promise<git_mem::object_id> receiving =
      core.is_store_sound ? fetch_new(core, w, std::move(how)) : clone_all(core, w, std::move(how));
  const git_mem::object_id tip = co_await receiving;
  if (tip.is_zero()) {
    throw failure(reason::not_found, "cannot index " + core.remote.text +
                                         ": the repository is empty: it has no commit");
  }
  w.from = core.store.current();
  promise<git_mem::object_id> peeled = peel(w.from, tip);
  const git_mem::object_id id = co_await peeled;
  if (core.options.clone.also.empty()) follow_only(core.store, w.ref, id);
  w.from = core.store.current();
  w.commit = git_mem::read_commit(w.from, id);
  co_await maybe_pause(parse_cost);
}

}  // namespace

promise<> walk_all(service_core& core, git_mem::snapshot_ptr from, kept_index& into) {
  git_mem::tree_walk walk(from, into.packages);
  list_bounds bounds;
  for (;;) {
    const git_mem::tree_walk::result r = walk.step();
    if (r.found != nullptr) {
      bounds.take(*r.found);
      into.files.push_back(*r.found);
      core.progress.done = into.files.size();
    }
    if (r.state == step_state::error) throw failure(walk.error()).at("packages");
    co_await maybe_pause(r.cost);
    if (r.state == step_state::done) co_return;
  }
}

namespace {

promise<> walk_packages(service_core& core, workshop& w) {
  core.meter.begin("walk");
  core.enter("walk");
  promise<std::optional<git_mem::path_finder::place>> found =
      git_mem::find_path(w.from, w.commit.tree, "packages");
  const auto packages = co_await found;
  if (!packages || packages->mode != file_mode::tree) {
    throw failure(reason::not_found, "it has no folder packages/, so it is no opam repository");
  }
  w.kept->packages = packages->id;
  const kept_index* known = core.kept ? core.kept.get() : core.recalled.get();
  if (known == nullptr || !w.from->find_object(known->packages)) {
    promise<> walked = walk_all(core, w.from, *w.kept);
    co_await walked;
    co_return;
  }
  promise<file_list> listing = list_changed(w.from, packages->id, *known);
  w.kept->files = co_await std::move(listing);
  core.progress.done = w.kept->files.size();
}

// Until the builder wants more, or has all.
promise<> drive(index_builder& builder) {
  for (;;) {
    const git_mem::step_result r = builder.step();
    co_await maybe_pause(r.cost);
    if (r.state != step_state::more) co_return;
  }
}

promise<> add_bytes(index_builder& builder, std::string_view bytes) {
  if (!bytes.empty()) builder.feed(bytes);
  co_return co_await tail(drive(builder));
}

// The bytes of a file that the builder waits for.
promise<> feed_file(index_builder& builder,
                    const git_mem::snapshot_ptr& from,
                    const git_mem::tree_walk::entry& e) {
  promise<git_mem::object> read = git_mem::get_object(from, e.id, e.size_bytes);
  git_mem::object file;
  try {
    file = co_await std::move(read);
  } catch (const failure& f) {
    throw f.at("packages/" + e.path);
  }
  promise<> added = add_bytes(builder, file.text());
  co_await added;
  while (file.content.release_slice()) co_await maybe_pause(free_cost);
}

promise<> add_file(index_builder& builder,
                   const git_mem::snapshot_ptr& from,
                   const git_mem::tree_walk::entry& e) {
  const std::string path = "packages/" + e.path;
  if (const std::string_view why = why_unfit(e); !why.empty()) {
    builder.skip(path, why);
    co_return;
  }
  if (!builder.add(path, e.mode == file_mode::executable, e.size_bytes)) co_return;
  promise<> fed = feed_file(builder, from, e);
  co_await fed;
}

// What a group that was taken over ends with, for the next one.
promise<> recall_files(index_builder& builder,
                       const workshop& w,
                       std::size_t begin,
                       std::size_t end) {
  for (; begin < end; ++begin) {
    const git_mem::tree_walk::entry& e = w.kept->files[begin];
    const bool is_executable = e.mode == file_mode::executable;
    if (!why_unfit(e).empty()) continue;
    if (!builder.recall("packages/" + e.path, is_executable, e.size_bytes)) continue;
    promise<> fed = feed_file(builder, w.from, e);
    co_await fed;
  }
}

// The text of a small file at the root; nothing where there is none that could be served.
promise<std::optional<std::string>> read_text(workshop& w,
                                              std::string path,
                                              std::uint64_t limit_bytes) {
  promise<std::optional<git_mem::path_finder::place>> found =
      git_mem::find_path(w.from, w.commit.tree, path);
  const auto place = co_await found;
  if (!place) co_return std::nullopt;
  const bool is_file = place->mode != file_mode::tree && place->mode != file_mode::symlink &&
                       place->mode != file_mode::submodule;
  const auto header = w.from->find_object(place->id);
  if (!is_file || !header || header->size_bytes > limit_bytes) {
    w.made->notes.push_back(path + ": not used: it is no file, or too long");
    co_return std::nullopt;
  }
  promise<git_mem::object> read = git_mem::get_object(w.from, place->id, limit_bytes);
  const git_mem::object file = co_await std::move(read);
  co_return std::string(file.text());
}

repo_file make_repo(std::optional<std::string> upstream, repo_settings settings) {
  return make_repo_file(upstream ? std::optional<std::string_view>(*upstream) : std::nullopt,
                        settings);
}

promise<> read_roots(service_core& core, workshop& w) {
  promise<std::optional<std::string>> read = read_text(w, "repo", longest_repo_file_bytes);
  std::optional<std::string> upstream = co_await std::move(read);
  repo_settings settings;
  settings.upstream = core.remote.text;
  settings.stamp = w.made->commit;
  settings.archive_mirrors = core.options.archive_mirrors;
  repo_file own;
  if (upstream && upstream->size() > repo_bytes_on_loop) {
    promise<repo_file> making = detach(make_repo, std::move(upstream), std::move(settings));
    own = co_await std::move(making);
  } else {
    own = make_repo(std::move(upstream), std::move(settings));
    co_await maybe_pause(std::chrono::microseconds(150));
  }
  w.made->repo = std::move(own.text);
  if (own.fault) w.made->notes.push_back(*own.fault);
  promise<std::optional<std::string>> version = read_text(w, "version", longest_version_bytes);
  w.made->version = co_await std::move(version);
}

promise<> add_root(index_builder& builder, std::string path, std::string_view text) {
  if (!builder.add(path, false, text.size())) co_return;
  promise<> added = add_bytes(builder, text);
  co_await added;
}

promise<> add_files(service_core& core, workshop& w, index_builder& builder) {
  const file_list& files = w.kept->files;
  group_finder groups(core.kept.get(), files);
  std::size_t before = 0;  // where the group before begins
  bool was_taken = false;  // it
  for (std::size_t at = 0; at < files.size();) {
    const std::size_t begin = at;
    const std::size_t reach = reach_back(files, before, at);
    promise<std::size_t> ends = groups.end_of(at);
    const std::size_t end = co_await ends;
    promise<const index_group*> finding = groups.find_same(reach, at, end);
    const index_group* same = co_await finding;
    if (same != nullptr) {
      builder.take_over(text_of(core.kept->served->what.index), core.kept->blocks, *same);
      promise<> taken = drive(builder);
      co_await taken;
      core.progress.done = *core.progress.done + (end - at);
      at = end;
    } else if (was_taken) {
      promise<> recalled = recall_files(builder, w, reach, at);
      co_await recalled;
    }
    for (; at < end; ++at) {
      promise<> added = add_file(builder, w.from, files[at]);
      co_await added;
      ++*core.progress.done;
      core.progress.bytes = builder.output_bytes();
      co_await maybe_pause(file_cost);
    }
    before = begin;
    was_taken = same != nullptr;
  }
}

void finish_generation(workshop& w, index_result result) {
  w.made->files = result.files;
  w.made->etag = std::move(result.etag);
  w.made->index = std::move(result.bytes);
  for (std::string& note : result.notes) w.made->notes.push_back(std::move(note));
  w.kept->blocks = std::move(result.blocks);
  w.kept->groups = std::move(result.groups);
}

promise<> index_files(service_core& core, workshop& w) {
  core.meter.begin("index");
  core.enter("index");
  core.progress.total = w.kept->files.size();
  core.progress.done = 0;
  promise<> roots = read_roots(core, w);
  co_await roots;
  index_builder builder;
  promise<> all = add_files(core, w, builder);
  co_await all;
  promise<> repo = add_root(builder, "repo", w.made->repo);
  co_await repo;
  if (w.made->version) {
    promise<> version = add_root(builder, "version", *w.made->version);
    co_await version;
  }
  builder.finish();
  promise<> finished = drive(builder);
  co_await finished;
  finish_generation(w, builder.take());
}

promise<> index_commit(service_core& core, workshop& w) {
  w.made = std::make_unique<generation>();
  w.made->remote = core.remote.text;
  w.made->branch = core.remote.branch;
  w.made->commit = w.commit.id.hex();
  w.made->commit_time = w.commit.committer.when;
  try {
    promise<> walked = walk_packages(core, w);
    co_await walked;
    promise<> indexed = index_files(core, w);
    co_await indexed;
  } catch (const failure& f) {
    throw f.at("cannot index " + core.remote.text + ": commit " + w.commit.id.hex(12));
  }
}

promise<> receive_and_index(service_core& core, workshop& w) {
  core.state = core.served ? service_state::updating : service_state::cloning;
  promise<> received = receive_into(core, w);
  co_await received;
  const bool is_served = core.served && core.served->what.commit == w.commit.id.hex();
  if (is_served && core.kept != nullptr) co_return;
  if (!core.served) core.state = service_state::indexing;
  promise<> indexed = index_commit(core, w);
  co_await indexed;
}

}  // namespace

promise<made_generation> make_generation(service_core& core) {
  workshop w;
  std::exception_ptr failed;
  promise<> working = receive_and_index(core, w);
  try {
    co_await working;
  } catch (...) {  // a cancel too: what was made until then is much
    failed = std::current_exception();
  }
  core.meter.begin("release");
  w.from.reset();
  promise<> freed = git_mem::reclaim(core.store);
  co_await freed;
  if (failed || w.made == nullptr) {
    promise<> files_freed = free_in_slices(w.kept->files);
    co_await files_freed;
  }
  if (failed) {
    // Of a commit that came but could not be indexed something may be missing.
    if (w.made) core.is_store_sound = false;
    core.meter.end();
    std::rethrow_exception(failed);
  }
  core.meter.end();
  made_generation made;
  made.what = std::move(w.made);
  if (made.what) made.kept = std::move(w.kept);
  co_return made;
}

}  // namespace fermata::mirror
