// SPDX-License-Identifier: MIT
#include "commit_painter.hpp"

#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <utility>

namespace fermata::git_mem::detail {

commit_painter::commit_painter(snapshot_ptr from,
                               object_cache& recent,
                               const std::vector<object_id>& boundary,
                               const std::vector<object_id>& have_boundary)
    : from_(std::move(from)),
      recent_(recent),
      boundary_(boundary),
      have_boundary_(have_boundary),
      wanted_(*from_),
      had_(std::make_shared<object_set>(*from_)),
      walked_(*from_),
      edge_(*from_) {}

promise<> commit_painter::enqueue(object_id id, object_set::place at) {
  promise<object> reading = get_object(from_, id, any_size, &recent_);
  const object read = co_await std::move(reading);
  commit c = parse_commit(id, read.text());
  queue_.push({c.committer.when.time_since_epoch().count(), id, at, c.tree, std::move(c.parents)});
}

promise<> commit_painter::paint_wanted(object_id id) {
  const std::optional<object_header> h = from_->find_object(id);
  if (!h) throw failure(reason::not_found, "commit " + id.hex() + ": not in the store");
  if (h->type != object_type::commit) {
    throw failure(reason::corrupt,
                  "commit " + id.hex() + ": it is a " + std::string(type_name(h->type)));
  }
  if (had_->contains(*h) || !wanted_.insert(*h)) co_return;
  ++open_;
  promise<> queued = enqueue(id, wanted_.place_of(*h));
  co_await queued;
}

// What somebody has may be missing here; then we know no more of it.
promise<> commit_painter::paint_had(object_id id) {
  const std::optional<object_header> h = from_->find_object(id);
  if (!h || h->type != object_type::commit || !had_->insert(*h)) co_return;
  if (wanted_.contains(*h)) {
    patience_ = commits_after;
    if (!walked_.contains(*h)) {
      --open_;  // it waits in the queue, and is walked as what is had
      co_return;
    }
  }
  promise<> queued = enqueue(id, had_->place_of(*h));
  co_await queued;
}

promise<> commit_painter::add_have(object_id id) {
  const std::optional<object_header> h = from_->find_object(id);
  if (h && told_haves_++ < haves_looked_at) edge_.insert(*h);
  return paint_had(id);
}

promise<> commit_painter::walk_wanted(const next_commit& c) {
  --open_;
  wanted_order_.push_back({c.at, c.tree});
  if (from_->is_shallow(c.id) || std::binary_search(boundary_.begin(), boundary_.end(), c.id)) {
    co_return;
  }
  for (const object_id& parent : c.parents) {
    promise<> painted = paint_wanted(parent);
    co_await painted;
    edge_.insert(*from_->find_object(parent));
    co_await maybe_pause();
  }
}

promise<> commit_painter::walk_had(const next_commit& c) {
  had_order_.push_back({c.at, c.tree});
  if (from_->is_shallow(c.id) ||
      std::binary_search(have_boundary_.begin(), have_boundary_.end(), c.id)) {
    co_return;
  }
  for (const object_id& parent : c.parents) {
    promise<> painted = paint_had(parent);
    co_await painted;
    co_await maybe_pause();
  }
}

promise<> commit_painter::run() {
  while (!queue_.empty() && (open_ > 0 || patience_-- > 0)) {
    const next_commit c = queue_.top();
    queue_.pop();
    walked_.insert(c.at);
    promise<> step = had_->contains(c.at) ? walk_had(c) : walk_wanted(c);
    co_await step;
    co_await maybe_pause();
  }
  while (!queue_.empty()) {
    const next_commit& c = queue_.top();
    if (had_->contains(c.at)) had_order_.push_back({c.at, c.tree});
    queue_.pop();
    co_await maybe_pause();
  }
  for (const walked& w : had_order_) {
    if (edge_.contains(w.at)) edges_.push_back(w);
    co_await maybe_pause();
  }
}

}  // namespace fermata::git_mem::detail
