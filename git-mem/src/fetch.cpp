// SPDX-License-Identifier: MIT
#include "asked_refs.hpp"
#include "clone_over.hpp"
#include "received_check.hpp"
#include "tree_merge.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/fetch.hpp>
#include <fermata/git_mem/log.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <utility>

namespace fermata::git_mem {
namespace {

// The new pack stands first: it has what a branch was moved to, and bases in those behind it.
snapshot snapshot_after(object_store& store,
                        const snapshot_ptr& known,
                        std::vector<reference> refs,
                        clone_result received) {
  if (received.objects && received.objects->object_count() == 0) received.objects.reset();
  received.refs = std::move(refs);
  snapshot next = make_snapshot(store, std::move(received));
  if (known) next.packs.insert(next.packs.end(), known->packs.begin(), known->packs.end());
  return next;
}

// From an empty remote: HEAD, which stands first, is all that may be without an object.
bool brings_nothing(const clone_result& received) {
  return std::all_of(received.refs.begin(), received.refs.end(),
                     [](const reference& r) { return r.id.is_zero(); });
}

// Both are sorted by name.
promise<std::vector<ref_update>> compare_refs(const snapshot& before, const snapshot& after) {
  std::vector<ref_update> out;
  std::size_t a = 0, b = 0;
  while (a < before.refs.size() || b < after.refs.size()) {
    const reference* old_ref = a < before.refs.size() ? &before.refs[a] : nullptr;
    const reference* new_ref = b < after.refs.size() ? &after.refs[b] : nullptr;
    if (old_ref != nullptr && new_ref != nullptr) {
      const int order = old_ref->name.compare(new_ref->name);
      if (order < 0) new_ref = nullptr;
      if (order > 0) old_ref = nullptr;
    }
    ref_update u;
    u.name = new_ref != nullptr ? new_ref->name : old_ref->name;
    if (old_ref != nullptr) u.before = old_ref->id;
    if (new_ref != nullptr) u.after = new_ref->id;
    if (u.before != u.after) out.push_back(std::move(u));
    if (old_ref != nullptr) ++a;
    if (new_ref != nullptr) ++b;
    co_await maybe_pause();
  }
  co_return out;
}

// Is `before` an ancestor of `after`, as far as history goes?
promise<ref_move> judge(snapshot_ptr in, object_id before, object_id after) {
  if (before == after) co_return ref_move::none;
  commit_log log(in, {1, after});
  bool ends_early = false;
  for (;;) {
    promise<std::optional<commit>> next = log.next();
    const std::optional<commit> c = co_await std::move(next);
    if (!c) co_return ends_early ? ref_move::unknown : ref_move::rewritten;
    if (c->id == before) co_return ref_move::forward;
    ends_early = ends_early || in->is_shallow(c->id);
  }
}

promise<object_id> commit_of(snapshot_ptr in, object_id id) {
  promise<std::optional<object_id>> peeling = peel(in, id, object_type::commit);
  const std::optional<object_id> commit = co_await peeling;
  if (!commit) {
    throw failure(reason::corrupt, "the tip " + id.hex() + " stands for no commit");
  }
  co_return *commit;
}

// What is new in the tip must be there whole: its trees, which the diff reads, and its files.
promise<> take_changes(snapshot_ptr in, const clone_options& options, fetch_result& result) {
  promise<object_id> peeled = commit_of(in, result.tip);
  const object_id after = co_await peeled;
  object_id before;
  if (!result.old_tip.is_zero()) {
    promise<object_id> old_peeled = commit_of(in, result.old_tip);
    before = co_await old_peeled;
    promise<ref_move> judged = judge(in, before, after);
    result.move = co_await judged;
  }
  if (detail::leaves_out_trees(options.filter)) co_return;  // they cannot be compared
  detail::change_adder adder(result.changes, options.most_change_bytes);
  auto take = [in, before, &adder](const file_change& c) {
    const bool is_file = !in->is_partial && c.what != file_change::kind::removed &&
                         c.new_mode != file_mode::submodule;
    if (is_file) detail::check_file(*in, c.path, c.new_id);
    if (!before.is_zero()) adder.add(c);
    return ready();
  };
  promise<> compared = diff_files(in, before, after, std::move(take));
  try {
    co_await compared;
  } catch (const failure& f) {  // another fetch may have left out trees
    if (!in->is_partial || f.why() != reason::not_found) throw;
    result.changes.clear();
  }
}

promise<fetch_result> fetch_into(object_store& store,
                                 const remote_url& url,
                                 const clone_options& options) {
  const snapshot_ptr known = store.current()->packs.empty() ? nullptr : store.current();
  promise<clone_result> receiving = detail::receive_from(url, options, known);
  clone_result received = co_await std::move(receiving);
  fetch_result result;
  result.tip = received.tip;
  result.ref = received.ref;
  result.has_new = received.objects != nullptr && received.objects->object_count() > 0;
  result.progress = received.progress;
  if (brings_nothing(received) && !store.current()->refs.empty()) co_return result;
  promise<std::vector<reference>> merging =
      detail::merge_refs(store.current(), received, url.branch, options.also);
  std::vector<reference> refs = co_await std::move(merging);
  const auto next = std::make_shared<snapshot>(
      snapshot_after(store, known, std::move(refs), std::move(received)));
  promise<std::vector<ref_update>> compared = compare_refs(*store.current(), *next);
  result.refs = co_await std::move(compared);
  if (!result.tip.is_zero()) {
    const reference* before = known ? known->find_ref(result.ref) : nullptr;
    if (before != nullptr && known->find_object(before->id)) result.old_tip = before->id;
    if (result.old_tip.is_zero()) result.move = ref_move::created;
    if (known) {  // the first pack is looked through when it has come
      promise<> taken = take_changes(next, options, result);
      co_await taken;
    }
  }
  store.publish(std::move(*next));
  co_return result;
}

}  // namespace

promise<fetch_result> fetch(object_store& store, std::string url, clone_options options) {
  const remote_url parsed = remote_url::parse(url);
  promise<fetch_result> fetching = fetch_into(store, parsed, options);
  try {
    co_return co_await std::move(fetching);
  } catch (const error& e) {
    throw detail::remote_failure("fetch", parsed, e);
  }
}

}  // namespace fermata::git_mem
