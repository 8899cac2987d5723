// SPDX-License-Identifier: MIT
// The walk goes level by level, so that each commit is met at its least depth first. As in git, a
// commit one of whose parents is left out loses all of them. What only the others reach is not
// walked: git tells where that ends, too, and its client, which does not get it, fails at the next
// `--unshallow` ("error in object: unshallow").

#include "history_cut.hpp"

#include "commit_painter.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <limits>
#include <queue>
#include <utility>

namespace fermata::git_mem::detail {

namespace {

constexpr std::size_t wants_looked_at = 64;
constexpr std::size_t commits_looked_at = 20'000;

bool is_commit(const snapshot& from, const object_id& id) {
  const std::optional<object_header> h = from.find_object(id);
  return h && h->type == object_type::commit;
}

std::int64_t date_of(const commit& c) noexcept {
  return c.committer.when.time_since_epoch().count();
}

promise<std::vector<object_id>> commits_of(snapshot_ptr from, const std::vector<object_id>& ids) {
  std::vector<object_id> commits;
  for (const object_id& id : ids) {
    if (!from->find_object(id)) continue;
    promise<object_id> peeling = peel_tags(from, id);
    const object_id peeled = co_await std::move(peeling);
    if (is_commit(*from, peeled)) commits.push_back(peeled);
    co_await maybe_pause();
  }
  co_return commits;
}

object_id get_ref(const snapshot& from, const std::string& name) {
  for (const char* before : {"", "refs/", "refs/tags/", "refs/heads/"}) {
    const reference* const r = from.find_ref(before + name);
    if (r != nullptr) return r->id;
  }
  throw failure(reason::not_found, "deepen-not is not a ref: " + printable(name, 80));
}

class cutter {
public:
  cutter(snapshot_ptr from, const upload_request& r)
      : from_(std::move(from)), request_(r), seen_(*from_), whole_(*from_) {}

  promise<history_cut> run();

private:
  promise<> exclude(const std::vector<object_id>& tips);
  promise<bool> is_left_out(object_id id);
  promise<> look(object_id id, std::uint64_t depth, std::vector<object_id>& next);
  promise<> walk(std::vector<object_id> level);
  promise<> settle();

  snapshot_ptr from_;
  const upload_request& request_;
  object_set seen_;
  object_set whole_;                      // commits that the client gets with their parents
  std::shared_ptr<object_set> excluded_;  // by deepen-not
  std::uint64_t most_ = ~std::uint64_t{0};
  history_cut result_;
};

promise<> cutter::exclude(const std::vector<object_id>& tips) {
  const std::vector<object_id> no_boundary;
  object_cache recent(*from_);
  commit_painter painter(from_, recent, no_boundary, no_boundary);
  std::vector<object_id> refs;
  for (const std::string& name : request_.without) refs.push_back(get_ref(*from_, name));
  promise<std::vector<object_id>> resolving = commits_of(from_, refs);
  const std::vector<object_id> without = co_await std::move(resolving);
  for (const object_id& id : without) {
    promise<> added = painter.add_have(id);
    co_await added;
  }
  for (const object_id& id : tips) {
    promise<> added = painter.add_tip(id);
    co_await added;
  }
  promise<> painted = painter.run();
  co_await painted;
  excluded_ = painter.had();
}

promise<bool> cutter::is_left_out(object_id id) {
  const std::optional<object_header> h = from_->find_object(id);
  if (!h || (excluded_ && excluded_->contains(*h))) co_return true;
  if (!request_.since) co_return false;
  promise<commit> reading = get_commit(from_, id);
  const commit c = co_await std::move(reading);
  co_return date_of(c) < *request_.since;
}

promise<> cutter::look(object_id id, std::uint64_t depth, std::vector<object_id>& next) {
  promise<commit> reading = get_commit(from_, id);
  const commit c = co_await std::move(reading);
  bool cut = from_->is_shallow(id) || depth >= most_;  // even a commit without parents, as in git
  for (std::size_t i = 0; !cut && i < c.parents.size(); ++i) {
    promise<bool> judging = is_left_out(c.parents[i]);
    cut = co_await judging;
  }
  if (cut) {
    result_.boundary.push_back(id);
    co_return;
  }
  whole_.insert(*from_->find_object(id));
  for (const object_id& parent : c.parents) {
    if (seen_.insert(*from_->find_object(parent))) next.push_back(parent);
  }
}

promise<> cutter::walk(std::vector<object_id> level) {
  for (std::uint64_t depth = 1; !level.empty(); ++depth) {
    std::vector<object_id> next;
    for (const object_id& id : level) {
      promise<> looked = look(id, depth, next);
      co_await looked;
      co_await maybe_pause(std::chrono::microseconds(1));
    }
    level = std::move(next);
  }
}

// What of this the client knows already.
promise<> cutter::settle() {
  std::vector<object_id> known = request_.shallow;
  std::sort(known.begin(), known.end());
  std::sort(result_.boundary.begin(), result_.boundary.end());
  std::set_difference(result_.boundary.begin(), result_.boundary.end(), known.begin(), known.end(),
                      std::back_inserter(result_.shallow));
  for (const object_id& id : known) {
    const std::optional<object_header> h = from_->find_object(id);
    if (!h || !whole_.contains(*h)) {
      result_.boundary.push_back(id);
      continue;
    }
    result_.unshallow.push_back(id);
    promise<commit> reading = get_commit(from_, id);
    const commit c = co_await std::move(reading);
    result_.more_tips.insert(result_.more_tips.end(), c.parents.begin(), c.parents.end());
    co_await maybe_pause();
  }
  std::sort(result_.boundary.begin(), result_.boundary.end());
}

promise<history_cut> cutter::run() {
  promise<std::vector<object_id>> resolving = commits_of(from_, request_.wants);
  const std::vector<object_id> wanted = co_await std::move(resolving);
  std::vector<object_id> start = wanted;
  if (request_.depth > 0) most_ = request_.depth;
  if (request_.relative_depth && request_.depth > 0) {
    ++most_;
    promise<std::vector<object_id>> known = commits_of(from_, request_.shallow);
    start = co_await std::move(known);
  }
  if (!request_.without.empty()) {
    promise<> excluded = exclude(wanted);
    co_await excluded;
  }
  std::vector<object_id> level;
  for (const object_id& id : start) {
    promise<bool> judging = is_left_out(id);
    const bool left_out = co_await judging;
    if (!left_out && seen_.insert(*from_->find_object(id))) level.push_back(id);
    co_await maybe_pause();
  }
  if (level.empty() && (request_.since || !request_.without.empty())) {
    throw failure(reason::not_found, "no commits selected for shallow requests");
  }
  promise<> walked = walk(std::move(level));
  co_await walked;
  promise<> settled = settle();
  co_await settled;
  co_return std::move(result_);
}

}  // namespace

promise<history_cut> cut_history(snapshot_ptr from, const upload_request& r) {
  cutter c(std::move(from), r);
  promise<history_cut> cutting = c.run();
  co_return co_await std::move(cutting);
}

namespace {

// Walks from one want down to commits as old as `oldest`.
promise<bool> reaches(snapshot_ptr from,
                      object_id want,
                      const object_set& common,
                      std::int64_t oldest,
                      std::size_t& budget) {
  object_set seen(*from);
  std::priority_queue<std::pair<std::int64_t, object_id>> queue;
  queue.emplace(0, want);
  while (!queue.empty() && budget-- > 0) {
    const object_id id = queue.top().second;
    queue.pop();
    const std::optional<object_header> h = from->find_object(id);
    if (!h || !seen.insert(*h)) continue;
    if (common.contains(*h)) co_return true;
    promise<commit> reading = get_commit(from, id);
    const commit c = co_await std::move(reading);
    co_await maybe_pause();
    if (date_of(c) < oldest || from->is_shallow(id)) continue;
    for (const object_id& parent : c.parents) queue.emplace(date_of(c), parent);
  }
  co_return false;
}

}  // namespace

promise<bool> is_enough(snapshot_ptr from,
                        const std::vector<object_id>& wants,
                        const std::vector<object_id>& common) {
  if (common.empty() || wants.size() > wants_looked_at) co_return false;
  object_set known(*from);
  std::int64_t oldest = std::numeric_limits<std::int64_t>::max();
  promise<std::vector<object_id>> resolving = commits_of(from, common);
  const std::vector<object_id> commits = co_await std::move(resolving);
  for (const object_id& id : commits) {
    known.insert(*from->find_object(id));
    promise<commit> reading = get_commit(from, id);
    const commit c = co_await std::move(reading);
    oldest = std::min(oldest, date_of(c));
    co_await maybe_pause();
  }
  promise<std::vector<object_id>> peeling = commits_of(from, wants);
  const std::vector<object_id> tips = co_await std::move(peeling);
  std::size_t budget = commits_looked_at;
  for (const object_id& id : tips) {
    promise<bool> walking = reaches(from, id, known, oldest, budget);
    const bool found = co_await walking;
    if (!found) co_return false;
  }
  co_return true;
}

}  // namespace fermata::git_mem::detail
