// SPDX-License-Identifier: MIT
/// The commits that a log gives next.
///
/// Shape:  the one of the latest committer date first, of equal ones the one that came first, as
///         `git log` has it.
/// Thread: loop.
/// Cost:   O(log n), one allocation a commit.
#pragma once

#include <fermata/git_mem/commit.hpp>

#include <cstdint>
#include <map>
#include <utility>

namespace fermata::git_mem::detail {

class commit_queue {
public:
  void push(commit c) {
    const std::int64_t date = c.committer.when.time_since_epoch().count();
    by_date_.emplace(std::pair(~date, pushed_++), std::move(c));  // ~: the latest first
  }
  [[nodiscard]] bool empty() const noexcept { return by_date_.empty(); }
  /// The latest, of equal ones the first that came; not of an empty queue.
  [[nodiscard]] commit pop() { return std::move(by_date_.extract(by_date_.begin()).mapped()); }

private:
  std::map<std::pair<std::int64_t, std::uint64_t>, commit> by_date_;
  std::uint64_t pushed_ = 0;
};

}  // namespace fermata::git_mem::detail
