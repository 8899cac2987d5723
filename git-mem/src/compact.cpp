// SPDX-License-Identifier: MIT
#include "live_refs.hpp"
#include "pack_assembly.hpp"

#include <fermata/git_mem/compact.hpp>
#include <fermata/git_mem/pack_writer.hpp>
#include <fermata/promise/pause.hpp>

#include <exception>
#include <optional>
#include <utility>

namespace fermata::git_mem {

namespace {

constexpr int most_tries = 3;
constexpr std::chrono::microseconds slice_cost{50};

struct compaction {
  compaction(object_store& s, const pack_limits& l) : store(s), limits(l) {}

  promise<> write(snapshot_ptr from, std::shared_ptr<object_set> live);
  promise<bool> attempt();

  object_store& store;
  pack_limits limits;
  compact_report report;
  std::optional<pack_assembly> made;
};

bool is_compact(const snapshot& s, const object_set& live) {
  if (s.packs.empty()) return true;
  return s.packs.size() == 1 && s.packs[0]->entry_count() == live.size();
}

promise<> compaction::write(snapshot_ptr from, std::shared_ptr<object_set> live) {
  made.emplace(limits.pack_bytes, live->size());
  pack_writer_options how;
  how.on_entry = [this](const pack_entry& e) { made->add(e); };
  pack_sink sink = [this](std::span<const std::byte> bytes) {
    made->bytes().append(bytes);
    return ready();
  };
  promise<written_pack> writing = write_pack(std::move(from), std::move(live), sink, how);
  co_await writing;
}

// False where somebody published meanwhile.
promise<bool> compaction::attempt() {
  const snapshot_ptr from = store.current();
  promise<reachable_objects> finding = detail::find_live(from);
  const reachable_objects live = co_await std::move(finding);
  report.objects_before = from->object_count();
  report.bytes_before = from->pack_bytes();
  report.packs_before = from->packs.size();
  report.objects_after = live.objects->size();
  report.bytes_after = report.bytes_before;
  if (is_compact(*from, *live.objects)) co_return true;
  promise<> written = write(from, live.objects);
  co_await written;
  snapshot next;
  promise<std::vector<reference>> copying = detail::copy_refs(from);
  next.refs = co_await std::move(copying);
  next.refs_in_order = true;
  next.shallow = detail::live_shallow(*from, *live.objects);
  next.is_partial = from->is_partial;
  if (store.current() != from) co_return false;
  std::unique_ptr<pack> p = made->finish();
  report.bytes_after = p->bytes().size();
  if (p->object_count() > 0) next.packs.push_back(store.adopt(std::move(p)));
  store.publish(std::move(next));
  co_return true;
}

promise<> release(std::optional<pack_assembly>& made) {
  while (made && made->release_slice()) co_await maybe_pause(slice_cost);
  made.reset();
}

}  // namespace

promise<> reclaim(object_store& store) {
  while (store.reclaim_step()) co_await maybe_pause(slice_cost);
}

promise<compact_report> compact(object_store& store, pack_limits limits) {
  compaction c(store, limits);
  for (int tries = 0; tries < most_tries; ++tries) {
    std::exception_ptr failed;
    bool published = false;
    promise<bool> attempt = c.attempt();
    try {
      published = co_await attempt;
    } catch (const error&) {
      failed = std::current_exception();
    }
    promise<> released = release(c.made);
    co_await released;
    if (failed) std::rethrow_exception(failed);
    if (!published) continue;
    promise<> reclaimed = reclaim(store);
    co_await reclaimed;
    co_return c.report;
  }
  throw failure(reason::conflict, "cannot compact the store: others kept publishing");
}

}  // namespace fermata::git_mem
