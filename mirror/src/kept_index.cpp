// SPDX-License-Identifier: MIT
#include "kept_index.hpp"

#include <fermata/git_mem/diff.hpp>
#include <fermata/promise/pause.hpp>

#include <chrono>
#include <string>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::chrono::nanoseconds compare_cost{200};
constexpr std::chrono::nanoseconds copy_cost{200};
constexpr std::chrono::microseconds free_cost{1};
constexpr std::uint64_t largest_file_bytes = std::uint64_t{128} << 20;

bool same(const git_mem::tree_walk::entry& a, const git_mem::tree_walk::entry& b) {
  return a.id == b.id && a.mode == b.mode && a.path == b.path;
}

}  // namespace

promise<std::size_t> group_finder::end_of(std::size_t at) const {
  const std::size_t begin = at;
  std::string path("packages/");
  for (++at; at < now_.size(); ++at) {
    path.resize(9);
    if (begins_group(path += now_[at].path, at - begin)) break;
    co_await maybe_pause(compare_cost);
  }
  co_return at;
}

// What was before the group then must have been as long, unless it is enough by itself: `reach` is
// where the group before begins, or far enough back.
promise<const index_group*> group_finder::find_same(std::size_t reach,
                                                    std::size_t at,
                                                    std::size_t end) {
  if (earlier_ == nullptr) co_return nullptr;
  const auto& groups = earlier_->groups;
  const auto& then = earlier_->files;
  while (group_ < groups.size() && first_file_ < then.size() &&
         then[first_file_].path < now_[at].path) {
    first_file_ += groups[group_++].entries;
    co_await maybe_pause(compare_cost);
  }
  if (group_ == groups.size() || groups[group_].entries != end - at) co_return nullptr;
  if (first_file_ + (end - at) > then.size()) co_return nullptr;
  const std::size_t entries_before = group_ == 0 ? 0 : groups[group_ - 1].entries;
  if (reach_back(then, first_file_ - entries_before, first_file_) + (at - reach) != first_file_) {
    co_return nullptr;
  }
  for (std::size_t i = reach; i < end; ++i) {
    if (!same(now_[i], then[i + first_file_ - at])) co_return nullptr;
    co_await maybe_pause(compare_cost);
  }
  co_return &groups[group_];
}

std::string_view why_unfit(const git_mem::tree_walk::entry& e) {
  if (e.mode == git_mem::file_mode::symlink) return "symbolic link";
  if (e.mode == git_mem::file_mode::submodule) return "submodule";
  if (e.size_bytes > largest_file_bytes) return "over 128 MiB";
  return {};
}

void list_bounds::take(const git_mem::tree_walk::entry& e) {
  list_bytes_ += sizeof(e) + e.path.size();
  if (why_unfit(e).empty()) file_bytes_ += e.size_bytes;
  if (list_bytes_ > most_list_bytes || file_bytes_ > most_file_bytes) {
    throw git_mem::failure(git_mem::reason::limit,
                           list_bytes_ > most_list_bytes
                               ? "packages: the list of its files takes more than 256 MiB"
                               : "packages: its files are more than 16 GiB");
  }
}

std::size_t reach_back(const file_list& files, std::size_t begin, std::size_t end) {
  std::uint64_t bytes = 0;
  for (; end > begin && bytes < index_reach_bytes; --end) {
    const git_mem::tree_walk::entry& e = files[end - 1];
    if (why_unfit(e).empty()) bytes += least_tar_bytes("packages/" + e.path, e.size_bytes);
  }
  return end;
}

namespace {

// Both are in the order of their paths: what stands between two changes is as it was.
struct merge {
  git_mem::snapshot_ptr from;
  const file_list& before;
  file_list now;
  std::size_t at = 0;  // in `before`
  list_bounds bounds = {};

  void keep(git_mem::tree_walk::entry e) {
    bounds.take(e);
    now.push_back(std::move(e));
  }
};

// Takes over what stands before `path`; all that is left for an empty one.
promise<> take_until(merge& m, std::string path) {
  for (; m.at < m.before.size(); ++m.at) {
    if (!path.empty() && m.before[m.at].path >= path) co_return;
    m.keep(m.before[m.at]);
    co_await maybe_pause(copy_cost);
  }
}

promise<> take_change(merge& m, const git_mem::file_change& c) {
  using kind = git_mem::file_change::kind;
  promise<> taken = take_until(m, c.path);
  co_await taken;
  if (c.what != kind::added) ++m.at;
  if (c.what == kind::removed) co_return;
  git_mem::tree_walk::entry file{c.path, c.new_mode, c.new_id, 0};
  if (c.new_mode != git_mem::file_mode::submodule) {
    const auto header = m.from->find_object(c.new_id);
    if (!header) {
      throw git_mem::failure(git_mem::reason::not_found,
                             "packages/" + c.path + ": no object " + c.new_id.hex());
    }
    file.size_bytes = header->size_bytes;
  }
  m.keep(std::move(file));
}

}  // namespace

promise<file_list> list_changed(git_mem::snapshot_ptr from,
                                git_mem::object_id tree,
                                const kept_index& earlier) {
  merge m{from, earlier.files, {}};
  promise<> merged =
      git_mem::diff_files(from, earlier.packages, tree,
                          [&m](const git_mem::file_change& c) { return take_change(m, c); });
  co_await merged;
  promise<> rest = take_until(m, "");
  co_await rest;
  co_return std::move(m.now);
}

promise<> free_in_slices(file_list& files) {
  while (!files.empty()) {
    files.pop_back();
    co_await maybe_pause(free_cost);
  }
}

}  // namespace fermata::mirror
