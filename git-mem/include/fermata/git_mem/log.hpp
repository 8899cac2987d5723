// SPDX-License-Identifier: MIT
/// The history of commits, the newest first.
///
/// Shape:    in the order of `git log`: of the commits whose child has been given (or that are
///           tips), the one of the latest committer date comes next. History ends where the
///           repository is shallow.
/// Pauses:   `next` may, once a commit (about 10 us).
/// Thread:   loop; one `next` at a time.
/// Rejects:  `failure` for a parent that is missing or no commit; `cancelled`.
/// Cost:     the commits that stand next, and a bit an object.
/// Lifetime: the log outlives the promise of `next`.
#pragma once

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/detail/commit_queue.hpp>
#include <fermata/git_mem/object_set.hpp>

#include <optional>
#include <utility>
#include <vector>

namespace fermata::git_mem {

class commit_log {
public:
  /// `tips` are commits; one that comes twice is given once.
  commit_log(snapshot_ptr from, std::vector<object_id> tips);

  /// The next commit; nothing at the end.
  promise<std::optional<commit>> next();

  /// Frees some of the commits that stand next (20 us); false if none was left. The log is over
  /// then.
  bool release_slice() noexcept;

private:
  [[nodiscard]] bool see(const object_id& id);
  promise<> add(object_id id);

  snapshot_ptr from_;
  std::vector<object_id> tips_;  // not looked at yet
  detail::commit_queue next_;
  object_set seen_;
};

}  // namespace fermata::git_mem
