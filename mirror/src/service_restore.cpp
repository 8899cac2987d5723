// SPDX-License-Identifier: MIT
// What the service knows after a restart: the index that was kept, then the repository behind it,
// then what its packages name.

#include "service_core.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/saved_store.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/promise/detach.hpp>

#include <filesystem>
#include <system_error>
#include <utility>

namespace fermata::mirror {
namespace {

loaded_generation load(data_directory* from, std::string remote, std::string branch) {
  return from->load(remote, branch);
}

// Also what cannot be looked at: to read it will say why.
bool may_exist(const std::string& path) {
  std::error_code code;
  return std::filesystem::exists(path, code) || code;
}

// What an index was made of; without it the first update is a clone.
promise<> restore_store(service_core& core) {
  core.meter.begin("restore");
  promise<bool> looking = detach([at = core.data.value().store_path()] { return may_exist(at); });
  const bool is_there = co_await looking;
  if (!is_there) co_return;
  std::string refused;
  promise<> restoring =
      git_mem::restore(core.store, core.data->store_path(), core.options.clone.pack);
  try {
    co_await restoring;
    core.is_store_sound = true;
  } catch (const error& e) {
    refused = e.what();
  }
  core.meter.end();
  if (refused.empty()) {
    promise<> shown = show_store(core);
    co_await shown;
    co_return;
  }
  promise<> aside = detach([from = &*core.data] { from->refuse_store(); });
  co_await aside;
  core.warn("cannot use the repository that was kept: " + refused);
}

// The files of the commit that is served. Nothing where the repository that was kept has it not: a
// crash came between the two.
promise<std::unique_ptr<kept_index>> list_served(service_core& core) {
  const git_mem::snapshot_ptr from = core.store.current();
  const auto id = git_mem::object_id::from_hex(core.served->what.commit);
  if (!id || !from->find_object(*id)) co_return nullptr;
  promise<git_mem::commit> reading = git_mem::get_commit(from, *id);
  const git_mem::commit commit = co_await std::move(reading);
  promise<std::optional<git_mem::path_finder::place>> finding =
      git_mem::find_path(from, commit.tree, "packages");
  const auto packages = co_await finding;
  if (!packages || packages->mode != git_mem::file_mode::tree) co_return nullptr;
  auto listed = std::make_unique<kept_index>();
  listed->packages = packages->id;
  promise<> walked = walk_all(core, from, *listed);
  co_await walked;
  co_return std::move(listed);
}

// Which archives there are must not have to wait for upstream, who may be away.
promise<> recall_packages(service_core& core) {
  core.meter.begin("recall");
  core.enter("recall");
  promise<std::unique_ptr<kept_index>> listing = list_served(core);
  try {
    core.recalled = co_await std::move(listing);
  } catch (const git_mem::failure& f) {
    core.warn(std::string("cannot list the packages that were kept: ") + f.what());
  }
  if (core.recalled) {
    promise<> read = read_catalogue(core, core.recalled->files);
    co_await read;
  }
  core.meter.end();
}

}  // namespace

// A damaged or unreadable file is no reason not to serve: the clone makes a new one.
promise<> load_saved(service_core& core) {
  if (!core.data) co_return;
  core.meter.begin("load");
  loaded_generation loaded;
  promise<loaded_generation> loading =
      detach(load, &*core.data, core.remote.text, core.remote.branch);
  try {
    loaded = co_await std::move(loading);
  } catch (const std::exception& e) {
    loaded.refused = e.what();
  }
  if (!loaded.refused.empty()) core.warn("cannot use the index that was kept: " + loaded.refused);
  if (!loaded.found) co_return;
  made_generation found;
  found.what = std::move(loaded.found);
  promise<> swapped = swap_in(core, std::move(found));
  co_await swapped;
  core.announce();
  core.state = service_state::updating;
  promise<> restored = restore_store(core);
  co_await restored;
  promise<> recalled = recall_packages(core);
  co_await recalled;
  core.progress = work_progress();
}

// What the next update has listed itself.
promise<> drop_recalled(service_core& core) {
  if (!core.recalled) co_return;
  const std::unique_ptr<kept_index> dropped = std::move(core.recalled);
  promise<> freed = free_in_slices(dropped->files);
  co_await freed;
}

}  // namespace fermata::mirror
