// SPDX-License-Identifier: MIT
// Walks commits from tips and haves, the newest first, until none is left that only tips reach.
//
// A commit that the haves reach is never walked as one of the tips', so history ends there. Dates
// may lie: then `had` reaches a commit after it has been walked. That is repaired as long as the
// walk goes on, some commits longer than it must; at worst something is given that was had.

#pragma once

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/object_set.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/promise/promise.hpp>

#include <cstdint>
#include <memory>
#include <queue>
#include <vector>

namespace fermata::git_mem::detail {

class commit_painter {
public:
  struct walked {
    object_set::place at = 0;
    object_id tree;
  };

  // The boundaries are sorted, and outlive the painter.
  commit_painter(snapshot_ptr from,
                 object_cache& recent,
                 const std::vector<object_id>& boundary,
                 const std::vector<object_id>& have_boundary);

  // Commits, which are there; haves before tips.
  promise<> add_have(object_id id);
  promise<> add_tip(object_id id) { return paint_wanted(id); }
  promise<> run();

  // What only tips reach, the newest first, after `run`. Some of it may be had in the end.
  [[nodiscard]] const std::vector<walked>& wanted() const noexcept { return wanted_order_; }
  // Commits that the haves reach right beside those, and some haves themselves: their trees are
  // what need not be given.
  [[nodiscard]] const std::vector<walked>& edges() const noexcept { return edges_; }
  [[nodiscard]] const std::shared_ptr<object_set>& had() const noexcept { return had_; }

private:
  struct next_commit {
    std::int64_t date = 0;
    object_id id;
    object_set::place at = 0;
    object_id tree;
    std::vector<object_id> parents;
    friend bool operator<(const next_commit& a, const next_commit& b) { return a.date < b.date; }
  };
  static constexpr std::size_t haves_looked_at = 16;
  static constexpr int commits_after = 64;  // that are walked once all seems clear

  promise<> paint_wanted(object_id id);
  promise<> paint_had(object_id id);
  promise<> enqueue(object_id id, object_set::place at);
  promise<> walk_wanted(const next_commit& c);
  promise<> walk_had(const next_commit& c);

  snapshot_ptr from_;
  object_cache& recent_;
  const std::vector<object_id>& boundary_;
  const std::vector<object_id>& have_boundary_;
  object_set wanted_;
  std::shared_ptr<object_set> had_;
  object_set walked_;
  object_set edge_;         // parents of wanted ones, and some haves
  std::uint64_t open_ = 0;  // wanted, not had, and not walked
  int patience_ = commits_after;
  std::priority_queue<next_commit> queue_;
  std::vector<walked> wanted_order_;
  std::vector<walked> had_order_;
  std::vector<walked> edges_;
  std::size_t told_haves_ = 0;
};

}  // namespace fermata::git_mem::detail
