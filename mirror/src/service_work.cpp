// SPDX-License-Identifier: MIT
// What the service does by itself once what was kept is loaded: clone and index, again and again
// when there is a reason to.

#include "service_core.hpp"
#include "units.hpp"

#include <fermata/git_mem/compact.hpp>
#include <fermata/git_mem/saved_store.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>

#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::chrono::microseconds slice_cost{50};
constexpr std::chrono::microseconds find_cost{1};

void save(data_directory* to, const generation* what) { to->save(*what); }

// Of many packs one, without what only earlier commits had. What is shown keeps the old ones until
// the end. A store that cannot be packed is cloned anew by the next update.
promise<> compact_store(service_core& core) {
  if (core.store.current()->packs.size() <= core.options.most_fetches) co_return;
  core.meter.begin("compact");
  promise<git_mem::compact_report> compacting =
      git_mem::compact(core.store, core.options.clone.pack);
  try {
    const git_mem::compact_report done = co_await std::move(compacting);
    core.is_store_saved = false;
    core.loop.log(log_level::info, "mirror",
                  "store compacted packs=" + std::to_string(done.packs_before) +
                      " objects=" + std::to_string(done.objects_after) + "/" +
                      std::to_string(done.objects_before) + " bytes=" +
                      std::to_string(done.bytes_after) + "/" + std::to_string(done.bytes_before));
  } catch (const git_mem::failure& f) {
    core.is_store_sound = false;
    core.warn(std::string("cannot compact the repository: ") + f.what());
  }
  core.meter.end();
  promise<> shown = show_store(core);
  co_await shown;
}

promise<> save_served(service_core& core, bool is_new) {
  if (!core.data || (!is_new && core.is_store_saved)) co_return;
  const served_ptr what = core.served;  // held here: its last holder must be on the loop
  core.meter.begin("save");
  promise<> saving = detach(save, &*core.data, &what->what);
  try {
    co_await saving;
    promise<> saving_store = git_mem::save(core.store, core.data->store_path());
    co_await saving_store;
    core.is_store_saved = true;
  } catch (const std::exception& e) {
    core.warn(std::string("cannot keep the index: ") + e.what());
  }
  core.meter.end();
}

// After a restart an index is built again, to know what it is made of: it is the one that is
// served.
bool is_served_already(const service_core& core, const generation& made) {
  return core.served && core.served->what.etag == made.etag &&
         core.served->what.commit == made.commit;
}

promise<> adopt_parts(service_core& core, made_generation made) {
  made.kept->served = core.served;
  core.kept = std::move(made.kept);
  while (made.what->index.release_slice()) co_await maybe_pause(slice_cost);
}

std::vector<std::string> texts_of(const std::vector<catalogue_note>& notes) {
  std::vector<std::string> texts;
  for (const catalogue_note& n : notes) texts.push_back(n.where + ":" + n.what);
  return texts;
}

package_status package_status_of(const archive_catalogue& catalogue) {
  constexpr std::size_t most = 100;
  const catalogue_counts counts = catalogue.counts();
  package_status p;
  p.is_known = true;
  p.opam_files = counts.opam_files;
  p.unavailable = counts.unavailable;
  p.archives = counts.archives;
  p.alternatives = counts.alternatives;
  p.without_checksum = counts.without_checksum;
  p.version_control = counts.version_control;
  p.refused = counts.refused;
  p.faults = counts.faults;
  p.fault_list = texts_of(catalogue.faults(most));
  p.skipped_list = texts_of(catalogue.skipped(most));
  p.conflict_list = texts_of(catalogue.conflicts(most));
  return p;
}

promise<bool> try_once(service_core& core) {
  core.update_wanted = false;
  core.try_began = core.loop.now();
  core.error.next_try.reset();
  made_generation fresh;
  std::string failed;
  promise<made_generation> making = with_timeout(core.options.update_time, make_generation(core));
  try {
    fresh = co_await std::move(making);
  } catch (const timed_out&) {
    failed = "the update of " + core.remote.text + " was given up: it took over " +
             duration_text(core.options.update_time);
  } catch (const std::exception& e) {
    failed = e.what();
  }
  core.progress = work_progress();
  if (!failed.empty()) {
    core.state = core.served ? service_state::ready : service_state::starting;
    core.note_failure(std::move(failed));
    co_return false;
  }
  const bool is_made = fresh.what != nullptr;
  const bool is_new = is_made && !is_served_already(core, *fresh.what);
  if (is_new) {
    promise<> swapped = swap_in(core, std::move(fresh));
    co_await swapped;
  } else if (is_made) {
    promise<> adopted = adopt_parts(core, std::move(fresh));
    co_await adopted;
  }
  promise<> shown = show_store(core);
  co_await shown;
  core.state = service_state::ready;
  core.error = error_status();
  core.last_update = wall_now();
  ++core.updates_done;
  if (is_new) core.announce();
  if (is_made) {
    core.meter.begin("read");
    promise<> read = read_catalogue(core, core.kept->files);
    co_await read;
    core.meter.end();
    promise<> dropped = drop_recalled(core);
    co_await dropped;
  }
  promise<> compacted = compact_store(core);
  co_await compacted;
  promise<> saved = save_served(core, is_new);
  co_await saved;
  co_return true;
}

// Asked for, or due. Who asks waits until the try before has begun long enough ago.
promise<> wait_for_reason(service_core& core, bool succeeded) {
  if (!core.update_wanted) {
    auto [woken, wake] = make_promise<>();
    core.wake = std::move(wake);
    const std::chrono::nanoseconds delay = succeeded ? core.plan_update() : core.next_delay;
    promise<> waiting = delay.count() == 0 ? woken : with_timeout(delay, woken);
    try {
      co_await waiting;
    } catch (const timed_out&) {  // the reason is the last failure, or the interval
    }
  }
  core.next_update.reset();
  const std::chrono::nanoseconds rest = core.pause_left();
  if (!core.update_wanted || rest.count() <= 0) co_return;
  promise<> pause_over = sleep_for(rest);
  co_await pause_over;
}

}  // namespace

// What upstream listed, but did not send, cannot be cloned from here.
promise<> show_store(service_core& core) {
  core.meter.begin("release");
  const git_mem::snapshot_ptr now = core.store.current();
  if (now->packs.empty()) co_return;
  auto shown = std::make_shared<git_mem::snapshot>();
  shown->packs = now->packs;
  shown->shallow = now->shallow;
  shown->is_partial = now->is_partial;
  for (std::size_t i = 0; i < now->refs.size(); ++i) {
    if (now->find_object(now->refs[i].id)) shown->refs.push_back(now->refs[i]);
    co_await maybe_pause(find_cost);
  }
  core.shown = std::move(shown);
  promise<> reclaimed = git_mem::reclaim(core.store);
  co_await reclaimed;
  core.meter.end();
}

// One opam file that cannot be read stops nothing: it is shown.
promise<> read_catalogue(service_core& core, const file_list& files) {
  promise<catalogue_update> reading = core.catalogue.read(core.store.current(), files);
  try {
    catalogue_update update = co_await std::move(reading);
    core.packages = package_status_of(core.catalogue);
    if (core.archives) {
      promise<> taking = core.archives->update(std::move(update));
      co_await taking;
    }
  } catch (const git_mem::failure& f) {
    core.warn(std::string("cannot read the opam files: ") + f.what());
  }
}

namespace {

// Upstream may go back: who asks by date alone must hear of other bytes all the same.
std::chrono::sys_seconds date_of(const service_core& core, const generation& next) {
  const std::chrono::sys_seconds date = std::min(next.commit_time, wall_now());
  if (!core.served || core.served->what.etag == next.etag) return date;
  return std::max(date, *core.served->what.last_modified + std::chrono::seconds(1));
}

}  // namespace

promise<> swap_in(service_core& core, made_generation fresh) {
  core.meter.begin("swap");
  auto next = std::make_unique<served_generation>();
  next->what = std::move(*fresh.what);
  if (!next->what.last_modified) next->what.last_modified = date_of(core, next->what);
  promise<std::string> repo = etag_of(next->what.repo);
  next->repo_etag = co_await repo;
  if (next->what.version) {
    promise<std::string> version = etag_of(*next->what.version);
    next->version_etag = co_await version;
  }
  core.served = graveyard::adopt(core.yard, std::move(next));
  for (const auto& replica : core.replicas) publish(*replica, core.served);
  if (fresh.kept) fresh.kept->served = core.served;
  std::swap(core.kept, fresh.kept);
  if (fresh.kept) {
    fresh.kept->served.reset();
    promise<> freed = free_in_slices(fresh.kept->files);
    co_await freed;
  }
  core.meter.end();
}

promise<> keep_fresh(std::shared_ptr<service_core> core) {
  promise<> loaded = load_saved(*core);
  co_await loaded;
  for (;;) {
    promise<bool> tried = try_once(*core);
    const bool succeeded = co_await tried;
    promise<> waited = wait_for_reason(*core, succeeded);
    co_await waited;
    co_await maybe_pause();  // a reason that is always there must not hold the thread
  }
}

}  // namespace fermata::mirror
